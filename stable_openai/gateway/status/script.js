(function () {
  "use strict";
  var place = document.getElementById("keys"), said = document.getElementById("said"), live = document.getElementById("live");
  if (!place || !window.EventSource || !window.fetch) return;
  var offset = 0, silent = 0, source, tries = 0;

  function now() { return performance.now() / 1000 + offset; }
  function spell(left) {
    var s = Math.max(Math.round(left), 0), two = function (n) { return (n < 10 ? "0" : "") + n; };
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min" + (s % 60 ? " " + two(s % 60) + " s" : "");
    if (s < 86400) return Math.floor(s / 3600) + " h" + (Math.floor(s % 3600 / 60) ? " " + two(Math.floor(s % 3600 / 60)) + " min" : "");
    return Math.floor(s / 86400) + " d" + (Math.floor(s % 86400 / 3600) ? " " + Math.floor(s % 86400 / 3600) + " h" : "");
  }
  function count() {
    document.querySelectorAll("time.left").forEach(function (each) {
      var words = spell(Number(each.dataset.until) - now());
      if (each.textContent !== words) each.textContent = words;
    });
  }
  function say(words) {
    said.replaceChildren.apply(said, words.map(function (one) {
      var line = document.createElement("p");
      line.textContent = one;
      return line;
    }));
  }
  function state(words) { if (live.textContent !== words) live.textContent = words; }
  function fill(pieces) {
    Object.keys(pieces).forEach(function (name) {
      var found = document.getElementById(name);
      if (found && found.innerHTML !== pieces[name]) found.innerHTML = pieces[name];
    });
  }
  function order(names, rows) {
    Object.keys(rows).forEach(function (name) {
      if (!document.getElementById(name)) place.insertAdjacentHTML("beforeend", rows[name]);
    });
    Array.from(place.children).forEach(function (row) {
      if (names.indexOf(row.id) < 0) row.remove();
    });
    if (place.contains(document.activeElement)) return; // nothing moves away under somebody's hands
    names.forEach(function (name, at) {
      var row = document.getElementById(name);
      if (row && place.children[at] !== row) place.insertBefore(row, place.children[at] || null);
    });
  }
  function told(event) {
    var news = JSON.parse(event.data);
    offset = news.now - performance.now() / 1000;
    silent = tries = 0;
    if (news.order) order(news.order, news.rows);
    fill(news.pieces);
    if (news.said.length) say(news.said);
    count();
    state("Live");
  }
  function listen() {
    source = new EventSource("/status/events" + location.search);
    source.addEventListener("update", told);
    source.addEventListener("over", function (event) {
      source.close();
      state(JSON.parse(event.data).why + " ");
    });
    source.onerror = function () {
      if (source.readyState !== EventSource.CLOSED) return state("Connection lost, trying again");
      state("Not live: use Refresh");
      if (tries++ < 10) setTimeout(listen, 30000);
    };
  }
  document.addEventListener("submit", function (event) {
    var form = event.target, button = form.querySelector("button.quick");
    if (!button || button.getAttribute("aria-busy") === "true") return button && event.preventDefault();
    event.preventDefault();
    button.setAttribute("aria-busy", "true");
    fetch(form.action, {
      method: "POST", credentials: "same-origin",
      headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form))
    }).then(function (response) {
      return response.json();
    }).then(function (answer) {
      say([answer.said || answer.error.message]);
    }).catch(function () {
      say(["The gateway could not be reached. Nothing is known of what was done."]);
    }).then(function () {
      button.removeAttribute("aria-busy");
    });
  });
  offset = Number(place.dataset.now) - performance.now() / 1000;
  setInterval(function () {
    count();
    if (++silent > 90) state("Nothing was heard for " + spell(silent));
  }, 1000);
  listen();
  window.addEventListener("pagehide", function () { source.close(); });
  window.addEventListener("pageshow", function (event) { if (event.persisted) location.reload(); });
})();
