// MathJax comes after all that a page needs to be seen.
{
  const src = new URL("mathjax/tex-mml-chtml.js", document.currentScript.src);
  addEventListener("load", () => document.head.append(Object.assign(document.createElement("script"), { src })));
}
