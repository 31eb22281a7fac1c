// Widgets find their scripts beside the page, not in a CDN, and typeset with the MathJax that the page has.
(() => {
  const root = document.documentElement.dataset.content_root || "./";
  const vendor = new URL(root + "_static/vendor/", document.baseURI).href;
  window.require = {paths: {"@jupyter-widgets/html-manager/dist/embed-amd": vendor + "embed-amd", "@jupyter-widgets/html-manager": vendor + "embed-amd"}};
  const here = document.createElement("script");
  here.dataset.jupyterWidgetsCdn = vendor;
  here.type = "text/plain";
  document.head.append(here);
  window.MathJax = window.MathJax || {};
  window.MathJax.Hub = window.MathJax.Hub || {Queue() {}, Typeset() {}, Config() {}, Register: {StartupHook() {}}};
})();
