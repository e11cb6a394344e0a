"use strict";
// Draws every figure of the page, and redraws it at the paper's width when the page is printed.
(function () {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const config = { displayModeBar: false, responsive: true, showTips: false, doubleClick: "reset" };
  const plots = Array.from(document.querySelectorAll(".plot"));
  const PAPER_PX = 700; // A4 less its margins, see @page in page.css
  const PAPER_SHARE = 0.8; // of the height on the screen


  plots.forEach(function (frame) {
    const figure = structuredClone(figures[frame.dataset.figure]); // plotly writes into it
    Plotly.newPlot(frame, figure.data, figure.layout, config);
  });

  function height(frame) {
    return figures[frame.dataset.figure].layout.height;
  }

  function resize(frame, heightPx, widthPx) {
    frame.style.height = heightPx + "px";
    const size = { height: heightPx, width: widthPx, autosize: widthPx === null };
    Plotly.relayout(frame, size);
    // The legend may have wrapped anew and changed the margins; plotly settles that later, but
    // printing does not wait: lay it out once more within the settled margins.
    Plotly.relayout(frame, size);
  }

  function toPaper() {
    plots.forEach(function (frame) {
      resize(frame, Math.round(PAPER_SHARE * height(frame)), PAPER_PX);
    });
  }

  function toScreen() {
    plots.forEach(function (frame) {
      resize(frame, height(frame), null);
    });
  }

  window.addEventListener("beforeprint", toPaper);
  window.addEventListener("afterprint", toScreen);
  document.documentElement.dataset.drawn = String(plots.length);
})();
