"""What answers say, as patterns over lower-case text, English and Chinese: the gist of many wordings each.

Gaps are bounded and no repeated group can match the same text in two ways, so a search takes linear time.
"""

from __future__ import annotations

from typing import Final


def _any(*alternatives: str) -> str:
    return "|".join(alternatives)


# What becomes of a key, an account or a project that may no longer be used.
_DEAD: Final = (
    r"(?:suspended|deactivated|disabled|banned|terminated|blocked|closed|locked|frozen|archived|revoked|deleted|"
    r"restricted)"
)

REGION: Final = _any(
    (
        r"(?:country|region|location|territor|countries|regions)\b.{0,60}(?:not (?:yet )?(?:supported|"
        r"available|allowed|permitted)|unsupported|blocked|restricted|prohibited)"
    ),
    (
        r"(?:not (?:yet )?(?:supported|available|allowed|offered|accessible)|unsupported|unavailable|blocked|"
        r"restricted).{0,30}\b(?:in|from|for) (?:your|this|the|some|certain|"
        r"unsupported) (?:current )?(?:country|countries|region|location|area|territor|geograph)"
    ),
    r"banned the country|unsupported countr|error 1009",
    r"(?:地区|区域|国家|所在地).{0,10}(?:不支持|不可用|受限|限制|不提供)|不支持.{0,10}(?:地区|区域|国家)",
)
CONTENT_FILTER: Final = _any(
    r"content[ _-]?(?:filter|polic|management|moderation|safety|exists risk)|(?:was|been|were|is) flagged",
    r"flagged (?:as|by|for)|(?:usage|safety|acceptable use|responsible ai) polic|inappropriate content",
    r"(?:unsafe|harmful|prohibited|sensitive|illegal) (?:content|word|material|information)",
    r"moderation (?:api|system|service|failed|polic|block)",
    r"(?:blocked|rejected|failed) .{0,30}(?:moderation|safety)",
    r"input (?:text |data )?(?:may contain|contains) (?:sensitive|unsafe)",
    r"safety (?:system|filter|settings|check)|violation of provider terms|high risk|敏感|违规|内容安全",
    r"不安全|不合规|风控|审核不通过|违反.{0,12}(?:政策|法规|规定)",
)
UPSTREAM_KEY: Final = _any(
    r"(?:litellm\.)?(?:authentication|permissiondenied)error: (?:litellm\.)?.{0,40}exception - ",
    r"upstream.{0,60}(?:authenticat|unauthorized|api[- ]key|credential)",
    r"(?:authenticat|unauthorized|api[- ]key).{0,30}upstream",
    r"provider returned error[\s\S]{0,400}(?:api[- ]key|unauthorized|authenticat|credential)",
    r"上游.{0,20}(?:鉴权|认证|密钥|401|403)",
)
TOKENS_IN_WINDOW: Final = _any(
    r"(?:tokens? per (?:min|day|hour)|\btp[md]\b|\bitpm\b)[\s\S]{0,80}(?:limit|request)",
    r"(?:too large|limit)[\s\S]{0,160}(?:tokens? per (?:min|day)|\btp[md]\b)",
)
CONTEXT_LENGTH: Final = _any(
    r"context[ _-]?(?:length|window|size|limit)",
    r"max(?:imum)? (?:context|input|prompt|sequence|model) (?:length|tokens?|size|len)",
    r"(?:prompt|input|messages?|text|query|conversation|inputs) (?:is |are |was )?too (?:long|large)",
    r"(?:length|size) of (?:all |the )?(?:messages|prompt|input|text).{0,20}too (?:long|large)",
    r"all messages is too long",
    r"too many (?:input |prompt |total )?tokens(?!.{0,40}(?:per |please wait|minute|day))",
    (
        r"(?:input|prompt|total) (?:token count|tokens?|length).{0,60}(?:exceed|greater|larger|longer|above|"
        r"over |must be|maximum)"
    ),
    (
        r"exceed(?:s|ed|ing)? (?:the |this )?(?:max|limit|model|available|allowed|token).{0,60}(?:token|"
        r"context|length|input)"
    ),
    r"reduce (?:the |your )?(?:length|prompt|message|input)",
    r"max_(?:new_|total_)?tokens.{0,4} (?:must be|exceeds? the context)",
    r"max(?:imum)? (?:number of )?(?:input |allowed )?tokens (?:allowed|per)",
    r"token limit of (?:the |this )?model|range of input length|输入.{0,20}(?:过长|超长|超过|超出|太长)",
    r"上下文.{0,20}(?:超|过长|太长)|(?:长度|tokens?|token数).{0,12}(?:超过|超出|过长|超限)",
    r"prompt.{0,10}(?:超长|过长)",
)
MONEY: Final = _any(
    r"insufficient[ _](?:\w+ )?(?:balance|credit|fund|quota)",
    (
        r"(?:balance|credits?|funds?|prepayment credits?)\b.{0,40}(?:insufficient|not enough|not sufficient|"
        r"too low|exhausted|depleted|used up|run out|ran out|negative|is zero|expired)"
    ),
    (
        r"(?:not enough|out of|run out of|ran out of|used (?:all|up)|exhausted|exceeded|no (?:more |"
        r"remaining |available )?|requires? more|consumed all)[^.:]{0,30}\b(?:balance|credits?|funds)\b"
    ),
    (
        r"(?:spend(?:ing)?|billing|budget|payment|hard|credit|expense|cost) (?:hard |soft |usage )?(?:limit|"
        r"cap|quota|budget)s?"
    ),
    r"budget.{0,20}(?:exceeded|exhausted|reached)|(?:exceeded|over|reached).{0,30}budget",
    r"max(?:imum)? budget|payment required|past[- ]due|overdue|in arrears|unpaid|failed payment",
    r"billing.{0,50}(?:not active|disabled|inactive|not enabled|required)|check your billing",
    r"can only afford|key limit exceeded|purchase (?:more )?credits",
    r"(?:token|user|account|key) quota is not enough|specified (?:\w+ )?api usage limits?",
    r"free (?:tier|trial|quota).{0,40}(?:exhausted|expired|ended|used up|over)",
    r"余额.{0,4}(?:不足|为0|耗尽|用完)|余额不够|欠费|额度.{0,6}(?:不足|用尽|用完|耗尽|失败)|资源包",
    r"请.{0,4}充值|套餐.{0,8}(?:到期|过期|用完|用尽|耗尽)|配额.{0,4}(?:用完|用尽|耗尽|不足)",
    r"免费.{0,6}(?:用完|用尽|耗尽)|billing account",
)
OUT_OF_USE: Final = _any(
    (
        r"(?:account|\bkey|organi[sz]ation|project|team|user|workspace|token|consumer|"
        rf"subscription)\b.{{0,60}}\b{_DEAD}\b"
    ),
    rf"{_DEAD} (?:account|key|api key|user|organi[sz]ation|token|project)",
    r"reported as leaked|\bleaked\b|compromised|(?:api )?key (?:has |is )?expired",
    r"(?:令牌|密钥|token|key).{0,10}(?:已过期|已失效|已禁用|被禁用|已停用|状态不可用|已删除|被封)",
    r"(?:账户|账号|帐号|用户|账户状态).{0,10}(?:封禁|停用|禁用|冻结|注销|异常|锁定)",
)
LIMIT_WORDS: Final = _any(
    r"rate[- _]?limit|too many (?:api )?(?:requests|calls)|throttl",
    r"limit (?:has been )?(?:exceeded|reached)|exceeded .{0,40}limit|reached .{0,60}limit",
    r"too (?:frequent|quickly|fast)|requests? too|limited to|per[- _](?:minute|day|second)",
    r"请求.{0,8}(?:过多|频繁|频率|过快|超)|限流|限频|频率|频繁|速率|并发|次数.{0,6}(?:上限|超)",
    r"超.{0,8}(?:频次|限制)|触发.{0,6}限",
)
SHORT_ALLOWANCE: Final = _any(
    r"quota exceeded for|resource (?:has been )?exhausted|ai\.google\.dev",
)
ALLOWANCE: Final = _any(
    r"exceeded (?:your|the|its) (?:current |monthly |total |plan )?quota|out of (?:call volume )?quota",
    r"(?:call volume|monthly|weekly|total|usage|plan) quota",
    r"quota.{0,30}(?:exhausted|used up|exceeded|reached|depleted|not enough)",
    r"(?:monthly|weekly|yearly|plan)\b.{0,40}(?:limit|quota|allowance|cap|usage)",
    r"plan (?:has )?expired|(?:/|per) ?month\b",
    r"配额|调用量.{0,6}(?:用完|上限|超)|(?:本月|每月|包月).{0,20}(?:上限|用完|超)",
)
UNVERIFIED: Final = _any(
    r"must be verified|requires? (?:\w+ )?verification",
    r"verify your (?:organi[sz]ation|account|identity|phone|email)|实名认证",
)
WRONG_INTERFACE: Final = _any(
    r"only supported in (?:the )?/?v1/|not supported in (?:the )?/?v1/|not a (?:chat|completion) model",
    r"(?:does not|doesn't) work with the specified model|unsupported (?:parameter|value)",
    (
        r"(?:only|not) support(?:ed|s)? (?:the )?(?:chat|responses|completions?|generatecontent|"
        r"streaming)(?: api| endpoint)"
    ),
)
MODEL_GONE: Final = _any(
    (
        r"\bmodels?\b.{0,120}?\b(?:deprecated|decommissioned|(?:was|been|is|are) (?:removed|retired)|"
        r"no longer (?:available|supported|accessible|offered|exist\w*|served)|discontinued|end[- ]of[- ]life|"
        r"sunset|shut ?down|reached its end)\b"
    ),
    r"no endpoints found for|模型.{0,60}(?:下线|废弃|弃用|停止服务|退役)",
)
MODEL: Final = _any(
    (
        r"\b(?:model|deployment|engine|inference profile|endpoint or model)s?\b(?! (?:input|output|"
        r"param)).{0,120}?(?:does ?n[o']t exist|do(?:es)? not exist|not exist|no such|not found|"
        r"is not available|not (?:currently |yet )?(?:been )?(?:accessible|activated|enabled|open\b|opened|"
        r"deployed|permitted|authori[sz]ed)|is not (?:currently )?supported(?! (?:with|when|in|on) )|(?:not|"
        r"isn't) (?:a )?(?:valid|recogni[sz]ed|allowed)|is invalid|unauthori[sz]ed|access (?:is )?denied|"
        r"denied|is gated|requires terms)"
    ),
    (
        r"(?:unknown|no such|unrecogni[sz]ed|nonexistent|unavailable|unsupported|wrong) (?:model|deployment|"
        r"engine)\b(?! (?:input|output|param|config|response|type))"
    ),
    (
        r"invalid (?:model|deployment)(?: name| id| identifier)?(?: passed|[:=`'\" ]|$)(?!input|output|param|"
        r"config|response)"
    ),
    (
        r"(?:n't|not|no|never|without|lacks?|cannot|denied|unable to)\b.{0,50}?\b(?:access|allowed|"
        r"authori[sz]ed|permission|permitted|entitled|enabled|activated|subscribed|sample|"
        r"use)\b.{0,80}?\b(?:model|deployment)"
    ),
    r"no models? (?:is |are )?loaded|function '.{0,80}not found for account|(?:^|\n)model: \S+\s*(?:\n|$)",
    r"not a valid model\b|no available channels?|no endpoints found matching your",
    r"模型.{0,60}?(?:不存在|未开通|无权|未找到|找不到|不可用|不支持|没有权限|未激活|无可用|未部署|无效)",
    r"(?:无权|没有权限|不能|未开通|不存在|不支持|无法).{0,20}模型|无可用渠道|没有可用(?:的)?渠道",
)
INVALID_KEY: Final = _any(
    (
        r"(?:invalid|incorrect|wrong|malformed|missing|no|bad|unknown|empty) (?:\w+ ){0,2}(?:api|access|"
        r"auth(?:entication|orization)?|subscription|secret|bearer|x-api)[-_ ]?(?:key|token|credential|header)"
    ),
    (
        r"api[-_ ]?(?:key|token)s? .{0,20}?(?:not valid|invalid|missing|required|incorrect|not found|"
        r"malformed|not supported|not provided|wrong|does not exist|unauthorized)"
    ),
    r"unregistered callers|bad credentials",
    r"(?:not|n't) (?:provide|send|include).{0,20}(?:api key|credential)",
    r"authenticat\w+ (?:fails|failed|error|required|credentials|parameter)",
    r"could not (?:validate|resolve) (?:credentials|authentication)",
    r"security token.{0,40}(?:invalid|expired)|login required|not (?:logged in|authenticated)",
    r"invalid x-api-key|无效的?\s?(?:令牌|密钥|api|key|token|凭)|未提供.{0,6}(?:令牌|密钥|key|认证|凭证)",
    r"(?:令牌|密钥|api[ _-]?key|token|apikey).{0,12}(?:无效|错误|不正确|非法|失效|不存在|过期|为空|缺失)",
    r"(?:鉴权|认证|身份验证|验证)(?:失败|错误|不通过)|身份验证|未授权",
)
BAD_CREDENTIAL: Final = _any(
    r"(?:invalid|expired|missing|malformed|incorrect|wrong) (?:\w+ ){0,2}(?:token|credentials?|key|signature)\b",
)
SCOPES: Final = _any(
    r"missing (?:\w+ )?scopes?|insufficient (?:permission|scope|privilege)",
)
PERMISSION: Final = _any(
    r"(?:not|n't) have (?:the )?(?:\w+ )?(?:permission|scope|role|access|privilege)",
    r"not (?:authori[sz]ed|allowed|permitted) to|no permissions?\b",
    r"lacks? (?:the )?(?:required )?(?:permission|role|data action)|virtual network|firewall",
    r"must be a member of|ip.{0,30}not (?:authori[sz]ed|allowed|whitelisted|in )",
    r"authentication is disabled|public access|access denied|没有权限|无权|权限不足|未开通|禁止访问",
    r"\bforbidden\b|permission[ _]denied",
)
OVERLOADED: Final = _any(
    r"overload|at (?:full |max(?:imum)? |its )?capacity|over capacity",
    r"(?:no|insufficient|out of|limited|lack of|not enough|exceeded?|enough) (?:\w+ )?capacity",
    r"capacity (?:limit|constraint|exceeded|is full|is not|unavailable)",
    r"(?:high|heavy|peak|unusual) (?:demand|load|traffic|volume|usage)",
    (
        r"(?:server|system|service|model|engine|queue|backend|cluster|node)s? (?:is |are )?(?:(?:currently|"
        r"too|temporarily|very|all) ){0,3}(?:busy|full|saturated|exhausted)"
    ),
    r"too busy|(?:currently|still|is|being) loading|loading (?:the )?model",
    r"model (?:is )?(?:not ready|warming|starting|cold)|warming up|starting up|rate[- ]limited upstream",
    r"upstream.{0,40}(?:rate[- ]?limit|too many)|no deployments available",
    r"(?:all|no) (?:\w+ )?(?:workers|deployments|replicas|instances|providers)\b.{0,30}(?:busy|available)",
    r"saturated|resource (?:is )?insufficient|过载|繁忙|拥挤|负载|排队|忙碌|高峰|访问量(?:过大|较大)",
    r"算力不足|资源(?:不足|紧张|已满)|饱和|太忙",
)
OVERLOADED_PLAIN: Final = _any(
    r"(?:server|model|engine|service|system) is (?:currently |temporarily )?overloaded",
    r"负载.{0,4}(?:饱和|过高|过大)|(?:服务|系统|服务器).{0,6}(?:繁忙|过载)",
)
# A window of some hours that reopens by itself; longer ones are an allowance.
USAGE_WINDOW: Final = r"usage[ _]limits?|session (?:usage )?limit"
NOT_USAGE_WINDOW: Final = r"week|month|year|credit|billing|每周|每月"
SLOW_DOWN: Final = _any(
    r"slow down",
)
RATE_LIMIT: Final = _any(
    r"rate[- _]?limit|too many (?:api )?(?:requests|calls|concurrent)|throttl",
    r"requests? (?:rate |count )?limit (?:has been )?(?:exceeded|reached)|exceeded .{0,20}request limit",
    r"too (?:frequent|quickly|fast)|请求.{0,8}(?:过多|频繁|频率|过快)|限流|限频|频率|频繁|速率|并发",
    r"触发.{0,6}限",
)
TIMEOUT: Final = _any(
    r"time[- ]?d?[- ]?out|timeout|deadline exceeded|took too long|超时",
)
SERVER_ERROR: Final = _any(
    r"upstream connect error|no healthy upstream|connection (?:refused|failure|reset|termination)",
    r"disconnect|bad gateway|origin|dns",
)

# What speaks against a row although its codes or phrases are there.
NOT_REGION: Final = r"regional (?:api )?endpoint|deployment"
ACCOUNT_OUT_OF_USE: Final = rf"(?:account|organi[sz]ation|user|key|project).{{0,60}}{_DEAD}"
NOT_INVALID_KEY_PLAIN: Final = rf"leaked|{_DEAD}|insufficient (?:balance|quota)"
NOT_CONTEXT_LENGTH: Final = _any(
    r"rate limit|per (?:minute|day)|array too long|string too long",
    r"max_(?:completion_|output_)?tokens['\"`]? is too large",
)
NOT_MONEY: Final = r"invalid api key|quota exceeded for metric"
NOT_OUT_OF_USE: Final = _any(
    r"expired or|or expired|过期或|(?:authentication|access) is disabled|model.{0,40}disabled|it is disabled|network",
    r"model .{0,60}(?:blocked|restricted)|api key (?:is )?(?:invalid|not valid)|rate[- ]limit",
)
NOT_SHORT_ALLOWANCE: Final = r"insufficient|check your plan(?!.{0,200}(?:google|quota exceeded for|metric))"
NOT_ALLOWANCE: Final = r"quota exceeded for|please (?:re)?try (?:again )?(?:later|in)|rate[- ]limit"
NOT_MODEL_GONE: Final = r"new (?:users|customers)|your (?:account|organi[sz]ation)|matching your"
NOT_MODEL: Final = _any(
    r"(?:at|over) capacity|overload|temporarily|currently (?:loading|unavailable)",
    r"(?:not support|unsupported)\w* (?:image|tool|function|stream|param|vision|system|response|value)",
)
NOT_INVALID_KEY: Final = r"insufficient permission|missing scope|not authorized to perform"
NOT_RATE_LIMIT: Final = r"file|image|upload|download"
