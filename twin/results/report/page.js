"use strict";
// Draws every figure of the page, and redraws it at the paper's width when the page is printed.
(function () {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { displayModeBar: false, responsive: true, showTips: false, doubleClick: "reset" };
  const plots = Array.from(document.querySelectorAll(".plot"));
  const PAPER_PX = 700; // A4 less its margins, see @page in page.css


  plots.forEach(function (frame) {
    const figure = figures[frame.dataset.figure];
    Plotly.newPlot(frame, figure.data, figure.layout, config);
  });

  function toPaper() {
    plots.forEach(function (frame) {
      Plotly.relayout(frame, { width: PAPER_PX, autosize: false });
    });
  }

  function toScreen() {
    plots.forEach(function (frame) {
      Plotly.relayout(frame, { width: null, autosize: true });
    });
  }

  window.addEventListener("beforeprint", toPaper);
  window.addEventListener("afterprint", toScreen);
  document.documentElement.dataset.drawn = String(plots.length);
})();
