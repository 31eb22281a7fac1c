"""Our side and the public libraries' side of ``bench.parity``, which compares them with copied parameters."""
