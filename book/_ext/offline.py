"""Keep pages free of remote scripts: live-kernel buttons are not used, so their loader is left out."""


def drop_thebe(app, pagename, templatename, context, doctree):
    """Remove sphinx-thebe's scripts, which name a CDN and declare a constant twice."""
    context["script_files"] = [s for s in context.get("script_files", []) if "thebe" not in str(s).lower() and "thebe" not in _body(s)]
    context["css_files"] = [s for s in context.get("css_files", []) if "thebe" not in str(s).lower()]


def _body(script):
    return (getattr(script, "attributes", {}) or {}).get("body", "").lower()


def setup(app):
    app.connect("html-page-context", drop_thebe, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
