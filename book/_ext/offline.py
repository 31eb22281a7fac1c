"""What the pages need beyond the theme: no remote script, notebooks to take away, a preview for links."""

import html
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOWNLOAD = '<span class="rl-download"></span>'  # tools/stamp.py leaves this place in each chapter's header
DOWNLOADS = "downloads"
sys.path.insert(0, str(ROOT / "tools"))

from downloads import write_downloads  # noqa: E402


def _is_thebe(file):
    attributes = getattr(file, "attributes", None) or {}
    return "thebe" in f"{file} {attributes.get('body', '')}".lower()


def preview(slug, title, chapters, site):
    """Meta tags that a link to a page unfolds into: title, idea, and, where the book has an address, its picture."""
    about = {c["slug"]: c.get("idea", "") for c in chapters}.get(slug, "")
    tags = {"og:site_name": "recsys-lite", "og:type": "article", "og:title": title}
    tags["og:description"] = about or "Recommender architectures that run: every formula derived, coded and measured."
    tags["twitter:card"] = "summary_large_image" if site else "summary"
    if site:
        tags["og:url"] = f"{site.rstrip('/')}/book/{slug}.html"
        tags["og:image"] = f"{site.rstrip('/')}/_static/preview.png"
        tags["og:image:alt"] = "recsys-lite: recommender architectures that run"
    return "".join(f'<meta property="{k}" content="{html.escape(v, quote=True)}" />\n' for k, v in tags.items())


def finish_page(app, pagename, templatename, context, doctree):
    """Drop sphinx-thebe (it names a CDN, declares a constant twice; pages have no kernel); fill in link and preview."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not _is_thebe(file)]
    name = pagename.rsplit("/", 1)[-1]
    if DOWNLOAD in context.get("body", ""):
        folder = context["pathto"](f"{DOWNLOADS}/{name}.zip", 1)
        source = context["pathto"](f"_sources/{pagename}.ipynb", 1)
        link = f'<a href="{folder}" download="{name}.zip">Download to run</a>'
        link += f'<a href="{source}" download="{name}.ipynb">Notebook only</a>'
        context["body"] = context["body"].replace(DOWNLOAD, link)
    if doctree is not None:
        chapters = json.loads((ROOT / "recsys_lite" / "store" / "chapters.json").read_text(encoding="utf-8"))
        site = json.loads((ROOT / "book" / "site.json").read_text(encoding="utf-8"))["site"]
        context["metatags"] = context.get("metatags", "") + preview(name, context.get("title", ""), chapters, site)


def archive(app, exception):
    """The folders that readers take away and run, beside the pages."""
    if exception is None and app.builder.name == "html":
        write_downloads(Path(app.outdir) / DOWNLOADS)


def setup(app):
    app.connect("html-page-context", finish_page, priority=999)
    app.connect("build-finished", archive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
