"use strict";
document.documentElement.classList.add("js");
// Tables that are sorted by a click on a column's title; rows without a value stay last.
document.querySelectorAll("table.sortable").forEach(function (table) {
  var body = table.tBodies[0];
  table.querySelectorAll("thead th button").forEach(function (button) {
    button.addEventListener("click", function () {
      var title = button.parentNode, column = title.cellIndex;
      var first = title.dataset.first === "descending" ? "descending" : "ascending";
      var other = first === "ascending" ? "descending" : "ascending";
      var order = title.getAttribute("aria-sort") === first ? other : first;
      table.querySelectorAll("th[aria-sort]").forEach(function (it) { it.removeAttribute("aria-sort"); });
      title.setAttribute("aria-sort", order);
      var key = function (row) {
        var cell = row.cells[column], value = cell.dataset.v;
        return value === undefined ? cell.textContent.trim() : value === "" ? null : Number(value);
      };
      var rows = Array.prototype.map.call(body.rows, function (row, at) { return { row: row, key: key(row), at: at }; });
      rows.sort(function (a, b) {
        if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.at - b.at;
        var by = typeof a.key === "number" ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true });
        return (order === "ascending" ? by : -by) || a.at - b.at;
      });
      rows.forEach(function (it) { body.appendChild(it.row); });
    });
  });
});
// A field that leaves only the rows whose text holds every word typed.
document.querySelectorAll("input[data-filters]").forEach(function (input) {
  var table = document.getElementById(input.dataset.filters);
  var count = document.getElementById(input.dataset.filters + "-count");
  var rows = Array.prototype.slice.call(table.tBodies[0].rows);
  var filter = function () {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    rows.forEach(function (row) {
      var text = (row.textContent + " " + (row.dataset.words || "")).toLowerCase();
      row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
      if (!row.hidden) shown += 1;
    });
    count.textContent = words.length ? shown + " of " + rows.length : "";
  };
  input.addEventListener("input", filter);
});
// The heat map: other correlations, and the numbers under the pointer.
document.querySelectorAll("figure[data-heat]").forEach(function (figure) {
  var data = JSON.parse(figure.querySelector("script").textContent);
  var n = data.names.length, svg = figure.querySelector("svg"), say = figure.querySelector(".say");
  var choice = figure.querySelector("select"), now = data.matrices[0];
  // The lower triangle, row by row, in thousandths; null where there is none.
  var at = function (a, b) { return now.values[(Math.max(a, b) * (Math.max(a, b) - 1)) / 2 + Math.min(a, b)]; };
  var shown = function (v) { return v === null ? "undefined" : (v / 1000).toFixed(3).replace("-", "\u2212"); };
  var draw = function () {
    var paths = new Array(data.steps).fill(""), a, b, v, step, span = 1000 - now.low || 1;
    for (a = 0; a < n; a++) for (b = 0; b < n; b++) {
      v = a === b ? 1000 : at(a, b);
      if (v === null) continue;
      step = Math.min(data.steps - 1, Math.max(0, Math.floor(((v - now.low) / span) * data.steps)));
      paths[step] += "M" + b + " " + a + "h1v1h-1z";
    }
    paths.forEach(function (path, step) { svg.querySelector("path.h" + step).setAttribute("d", path); });
    svg.querySelectorAll("text").forEach(function (text) {
      var v = at(Number(text.dataset.a), Number(text.dataset.b));
      if (v === null) { text.textContent = ""; return; }
      step = Math.min(data.steps - 1, Math.max(0, Math.floor(((v - now.low) / span) * data.steps)));
      text.textContent = ((Math.sign(v) * Math.round(Math.abs(v) / 10)) / 100).toFixed(2).replace("-", "\u2212").replace("0.", ".");
      text.setAttribute("class", "wide-only t" + step);
    });
    figure.querySelector(".low").textContent = shown(now.low);
  };
  if (choice) choice.addEventListener("change", function () { now = data.matrices[choice.selectedIndex]; draw(); });
  svg.addEventListener("pointermove", function (event) {
    var box = svg.getBoundingClientRect();
    var a = Math.floor(((event.clientY - box.top) / box.height) * n), b = Math.floor(((event.clientX - box.left) / box.width) * n);
    if (a < 0 || b < 0 || a >= n || b >= n) return;
    say.textContent = a === b ? data.names[a] : data.names[a] + " and " + data.names[b] + ": " + shown(at(a, b));
  });
});
