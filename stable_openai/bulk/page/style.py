"""How the page looks: colours that colour-blind eyes tell apart, with enough contrast on light and on dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DARK", "LIGHT", "STYLE"]

LIGHT: Final = {
    "page": "#f4f6f8",
    "card": "#ffffff",
    "text": "#1b2127",
    "soft": "#56606a",
    "line": "#d5dbe1",
    "bar": "#0b6cad",
    "cooling": "#b06000",
    "parked": "#a3457f",
    "gone": "#4d565f",
}
DARK: Final = {
    "page": "#0f1317",
    "card": "#181d23",
    "text": "#e5e9ee",
    "soft": "#a2acb7",
    "line": "#353d46",
    "bar": "#55a8e2",
    "cooling": "#dfa030",
    "parked": "#dd8bbe",
    "gone": "#a9b3bd",
}


def _variables(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


STYLE: Final = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}\n"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
    """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main,footer{max-width:62rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
h1{font-size:1.6rem;line-height:1.25;margin:0}
h2{font-size:1.15rem;margin:0 0 .25rem}
h3{font-size:1rem;margin:1rem 0 .25rem}
header p,section>p,footer,.soft,small,caption,.ticks,.scale{color:var(--soft)}
header p,section>p{margin:.25rem 0 1rem}
section,.figures>div,.note{background:var(--card);border:1px solid var(--line);border-radius:.5rem}
section{padding:1rem;margin:1rem 0;break-inside:avoid}
.note{padding:.75rem 1rem;margin:1rem 0;border-left:.4rem solid var(--cooling);overflow-wrap:anywhere}
.figures{display:flex;flex-wrap:wrap;gap:.5rem;margin:1rem 0}
.figures>div{flex:1 1 7.4rem;padding:.6rem .8rem}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0;font-size:1.35rem;font-weight:600;line-height:1.25}
dd small{display:block;font-size:.85rem;font-weight:400;line-height:1.35;margin-top:.15rem}
svg{display:block;width:100%;overflow:hidden}
svg path{vector-effect:non-scaling-stroke}
.bars{fill:var(--bar)}
.grid{stroke:var(--line);fill:none}
.base{stroke:var(--soft);fill:none}
.cooling{stroke:var(--cooling);stroke-width:22;stroke-dasharray:2 3}
.parked{stroke:var(--parked);stroke-width:9}
.barred{stroke:var(--gone);stroke-width:4;stroke-dasharray:7 4}
.retired{stroke:var(--gone);stroke-width:3}
.limit{stroke:var(--text);stroke-width:2;stroke-dasharray:8 4;fill:none}
.p50,.p90,.p99{stroke:var(--text);stroke-width:2;fill:none}
.p90{stroke-dasharray:6 3}
.p99{stroke-dasharray:2 3}
.row,.axis{display:grid;grid-template-columns:11rem minmax(0,1fr) 5rem;gap:0 .75rem;align-items:center}
.row{margin:.15rem 0;break-inside:avoid}
.row .name{line-height:1.2;overflow-wrap:anywhere}
.row small{display:block;font-size:.78rem}
.n{text-align:right;font-variant-numeric:tabular-nums}
.ticks{position:relative;height:1.4rem;font-size:.8rem}
.ticks span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.ticks span:first-child[style="left:0.00%"]{transform:none}
.axis .ticks{grid-column:2}
.axis .n{font-size:.8rem;color:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;margin:.5rem 0 0;padding:0;list-style:none;font-size:.85rem}
.legend li{display:flex;align-items:center;gap:.4rem}
.legend svg{width:2rem;flex:none}
.chart{display:grid;grid-template-columns:3.6rem minmax(0,1fr);gap:0 .5rem}
.chart .ticks{grid-column:2}
.scale{position:relative;font-size:.8rem}
.scale span{position:absolute;right:0;transform:translateY(50%)}
.plot{position:relative}
.plot b{position:absolute;font-size:.8rem;font-weight:600;white-space:nowrap;padding:0 .25rem;line-height:1.2;
background:var(--card)}
.plot b.left{transform:translateX(-100%)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));gap:0 2rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;min-width:min(34rem,100%);font-size:.92rem}
caption{text-align:left;font-size:.85rem;padding-bottom:.25rem}
th,td{text-align:left;padding:.3rem 1.2rem .3rem 0;border-top:1px solid var(--line);vertical-align:top}
thead th{border-top:0;white-space:nowrap}
tbody th{font-weight:400;overflow-wrap:break-word;min-width:4rem;max-width:16rem}
td:last-child:not(.n){min-width:16rem}
th.n,td.n{text-align:right}
td.n{white-space:nowrap}
code{font-size:.9em;overflow-wrap:anywhere}
footer{padding-bottom:2rem;font-size:.85rem}
:focus-visible{outline:3px solid var(--bar);outline-offset:2px}
@media (max-width:40rem){
.row{grid-template-columns:minmax(0,1fr) auto;margin:.5rem 0}
.row svg,.row .strip{grid-column:1/-1;grid-row:2}
.axis{grid-template-columns:minmax(0,1fr)}
.axis .ticks{grid-column:1}
.axis .n{display:none}
.chart{grid-template-columns:2.6rem minmax(0,1fr)}
h1{font-size:1.35rem}
}
@media print{
body{background:none;font-size:11pt}
.wide{overflow:visible}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""
)
