"""Running the explorer's pages without a browser."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def checked(app: AppTest) -> AppTest:
    assert not app.exception, [e.value for e in app.exception]
    return app


def query(app: AppTest) -> dict[str, str]:
    return {k: v[0] if isinstance(v, list) else v for k, v in app.query_params.items()}


def on_page(name: str, **query_: str) -> AppTest:
    """A page of its own, as Streamlit runs it."""

    def script(module: str) -> None:
        import importlib

        importlib.import_module(f"app.{module}").page()

    app = AppTest.from_function(script, args=(name,), default_timeout=120)
    for key, value in query_.items():
        app.query_params[key] = value
    return checked(app.run())
