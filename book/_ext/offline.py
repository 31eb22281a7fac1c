"""What the pages need beyond the theme: no remote script, and a link that downloads the chapter's notebook."""

DOWNLOAD = '<span class="rl-download"></span>'  # tools/stamp.py leaves this place in each chapter's header


def _is_thebe(file):
    attributes = getattr(file, "attributes", None) or {}
    return "thebe" in f"{file} {attributes.get('body', '')}".lower()


def finish_page(app, pagename, templatename, context, doctree):
    """Drop sphinx-thebe (it names a CDN and declares a constant twice; pages have no kernel); fill in the link."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not _is_thebe(file)]
    if DOWNLOAD in context.get("body", ""):
        source = context["pathto"](f"_sources/{pagename}.ipynb", 1)
        name = pagename.rsplit("/", 1)[-1]
        link = f'<a href="{source}" download="{name}.ipynb">Download notebook</a>'
        context["body"] = context["body"].replace(DOWNLOAD, link)


def setup(app):
    app.connect("html-page-context", finish_page, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
