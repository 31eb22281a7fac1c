"""A button that copies the page's address, which holds all that a reader chose."""

from __future__ import annotations

from streamlit.components import v2

JS = """export default function ({ parentElement }) {
  const button = parentElement.querySelector("button"), told = parentElement.querySelector("[role=status]");
  button.onclick = async () => {
    const address = window.location.href;
    try {
      await navigator.clipboard.writeText(address);
      told.textContent = "Copied.";
    } catch {
      const box = { value: address, readOnly: true, ariaLabel: "The address of this page" };
      told.replaceChildren(Object.assign(document.createElement("input"), box));
      told.firstChild.select();
    }
    setTimeout(() => { if (!told.firstElementChild) told.textContent = ""; }, 4000);
  };
}"""
CSS = """:host {display: block}
div {display: flex; gap: .4rem; align-items: center; justify-content: flex-end;
  font: .875rem var(--st-font, sans-serif); color: var(--st-text-color); white-space: nowrap}
button {font: inherit; color: inherit; background: none; border: 0; padding: .45rem .3rem; cursor: pointer}
button:hover {color: var(--st-primary-color); text-decoration: underline}
button:focus-visible {outline: 2px solid var(--st-primary-color)}
input {font: inherit; width: 12rem}"""
_button = v2.component(
    "recsys_lite_copy_link",
    html='<div><span role="status"></span><button type="button">Copy link</button></div>', css=CSS, js=JS,
)  # fmt: skip


def copy_link() -> None:
    """Show the button; where the browser refuses the clipboard, the address stands beside it, selected."""
    _button(key="copy.link", width="content", height="content")
