// Widgets find their scripts and fonts beside the page, not in a CDN, and the typesetter that they ask for does nothing.
(() => {
  const root = document.documentElement.dataset.content_root || "./";
  const vendor = new URL(root + "_static/vendor", document.baseURI).href;
  window.require = {paths: {"@jupyter-widgets/html-manager/dist": vendor}};
  const here = document.createElement("script");
  here.dataset.jupyterWidgetsCdn = vendor + "/";
  here.type = "text/plain";
  document.head.append(here);
  window.MathJax = window.MathJax || {};
  window.MathJax.Hub = window.MathJax.Hub || {Queue() {}, Typeset() {}, Config() {}, Register: {StartupHook() {}}};
})();
