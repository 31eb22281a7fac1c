"""What Streamlit runs for every visitor and every change; it starts the explorer of ``app/``.

It stands here because Streamlit takes the files of a folder ``pages`` beside its script for scripts of their own.
"""

from app.main import main

main()
