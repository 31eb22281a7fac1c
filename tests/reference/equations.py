"""The papers' equations in NumPy, written from the papers and not from the library: loops where the paper has sums.

Every function says its paper and equation. Arrays are float64; a vector is one row of a batch unless said otherwise.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
Parameters = dict[str, Array]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return e / e.sum()


def under(p: Parameters, prefix: str) -> Parameters:
    """The parameters below a name, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in p.items() if name.startswith(prefix + ".")}


def mlp(p: Parameters, h: Array, last_linear: bool) -> Array:
    """h ← ReLU(W h + b), layer after layer; without ReLU after the last if ``last_linear``."""
    places = sorted({int(name.split(".")[0]) for name in p})
    for place in places:
        h = p[f"{place}.weight"] @ h + p.get(f"{place}.bias", 0.0)
        if not (last_linear and place == places[-1]):
            h = relu(h)
    return h


def layer_norm(p: Parameters, x: Array, eps: float = 1e-5) -> Array:
    """Ba et al., Layer Normalization, 2016, eq. 4, over a vector: the variance is that of the vector, divided by d."""
    mean = sum(x) / len(x)
    variance = sum((value - mean) ** 2 for value in x) / len(x)
    return p["weight"] * (x - mean) / np.sqrt(variance + eps) + p["bias"]


def pairs(vectors: list[Array]) -> float:
    """Σ_{i<j} ⟨v_i, v_j⟩ x_i x_j of vectors x_i v_i. Rendle, ICDM 2010, eq. 1, the double loop."""
    return sum(float(vectors[i] @ vectors[j]) for i in range(len(vectors)) for j in range(i + 1, len(vectors)))


def dots(vectors: list[Array]) -> Array:
    """The dots of each pair once, none with itself, row by row below the diagonal. Naumov et al., DLRM, 2019, 2.2."""
    return np.array([vectors[i] @ vectors[j] for i in range(len(vectors)) for j in range(i)])


def cross_dcn(p: Parameters, x0: Array) -> Array:
    """x_{l+1} = x_0 x_lᵀ w_l + b_l + x_l, with the outer product built. Wang et al., DCN, 2017, eq. 3."""
    x = x0
    for w, b in zip(p["weight"], p["bias"], strict=True):
        x = np.outer(x0, x) @ w + b + x
    return x


def cross_v2(p: Parameters, x0: Array) -> Array:
    """x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l. Wang et al., DCN V2, WWW 2021, eq. 1."""
    x = x0
    for w, b in zip(p["weight"], p["bias"], strict=True):
        x = x0 * (w @ x + b) + x
    return x


def cross_low_rank(p: Parameters, x0: Array) -> Array:
    """x_{l+1} = x_0 ⊙ (U_l (V_lᵀ x_l) + b_l) + x_l. DCN V2, eq. 3."""
    x = x0
    for u, v, b in zip(p["u"], p["v"], p["bias"], strict=True):
        x = x0 * (u @ (v.T @ x) + b) + x
    return x


def cross_mixture(p: Parameters, x0: Array, g=np.tanh) -> Array:
    """x_{l+1} = Σ_i G_i(x_l) E_i(x_l) + x_l, E_i(x_l) = x_0 ⊙ (U_i g(C_i g(V_iᵀ x_l)) + b_l). DCN V2, eqs. 4 and 5."""
    x = x0
    for u, v, c, gate, b in zip(p["u"], p["v"], p["c"], p["gate"], p["bias"], strict=True):
        shares = softmax(np.array([gate_i @ x for gate_i in gate]))
        added = np.zeros_like(x)
        for i in range(len(u)):
            added = added + shares[i] * x0 * (u[i] @ g(c[i] @ g(v[i].T @ x)) + b)
        x = added + x
    return x


def cross_gated(p: Parameters, x0: Array) -> Array:
    """c_{l+1} = c_0 ⊙ (W_c c_l + b) ⊙ σ(W_g c_l) + c_l. Wang et al., GDCN, CIKM 2023, eq. 2."""
    c = x0
    for w, g, b in zip(p["weight"], p["gate_weight"], p["bias"], strict=True):
        c = x0 * (w @ c + b) * sigmoid(g @ c) + c
    return c


def interacting(p: Parameters, e: Array, heads: int, code: bool = False) -> Array:
    """AutoInt's layer on the fields' vectors (M, d). Song et al., CIKM 2019, eqs. 5 to 8.

    ``code`` is what the authors' program does: biases and ReLU in the four maps, a scale, a norm at the end.
    """

    def mapped(name: str, m: int) -> Array:
        out = p[f"{name}.weight"] @ e[m]
        return relu(out + p[f"{name}.bias"]) if code else out

    M, width = len(e), len(p["query.weight"]) // heads
    out = np.zeros((M, heads * width))
    for m in range(M):
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            psi = np.array([mapped("query", m)[part] @ mapped("key", k)[part] for k in range(M)])  # eq. 5
            alpha = softmax(psi / np.sqrt(width) if code else psi)
            out[m, part] = sum(alpha[k] * mapped("value", k)[part] for k in range(M))  # eqs. 6 and 7
        out[m] = relu(out[m] + mapped("residual", m))  # eq. 8
        if code:
            out[m] = layer_norm(under(p, "norm"), out[m], 1e-8)
    return out


def transformer(p: Parameters, x: Array) -> Array:
    """An encoder layer with one head on (m, d), norms after the sums. Vaswani et al., NIPS 2017, eq. 1, 3.1 and 3.3."""
    m, d = x.shape
    attended = np.zeros_like(x)
    maps = [
        [p["self_attn.in_proj_weight"][s] @ x[k] + p["self_attn.in_proj_bias"][s] for k in range(m)]
        for s in (slice(0, d), slice(d, 2 * d), slice(2 * d, 3 * d))
    ]
    for a in range(m):
        alpha = softmax(np.array([maps[0][a] @ maps[1][k] for k in range(m)]) / np.sqrt(d))
        mixed = sum(alpha[k] * maps[2][k] for k in range(m))
        attended[a] = p["self_attn.out_proj.weight"] @ mixed + p["self_attn.out_proj.bias"]
    out = np.zeros_like(x)
    for a in range(m):
        h = layer_norm(under(p, "norm1"), x[a] + attended[a])
        inner = relu(p["linear1.weight"] @ h + p["linear1.bias"])
        out[a] = layer_norm(under(p, "norm2"), h + p["linear2.weight"] @ inner + p["linear2.bias"])
    return out


def ensemble_module(p: Parameters, x: Array, name: str) -> Array:
    """An interaction module of DHEN on (m, d). Zhang et al., arXiv 2203.11014, 2022, section 3."""
    m, d = x.shape
    if name == "dot":  # AdvancedDLRM
        y = p["compress.weight"] @ x if "compress.weight" in p else x
        return mlp(under(p, "mlp"), np.concatenate([x.reshape(-1), dots(list(y))]), True).reshape(-1, d)
    if name == "attention":
        x = transformer(under(p, "encoder"), x)
    elif name == "cross":
        x = x * (p["cross.weight"] @ x.reshape(-1) + p["cross.bias"]).reshape(m, d)
    elif name == "convolution":
        kernels, bias = p["convolution.weight"][:, 0], p["convolution.bias"]
        padded = np.zeros((m + 2, d + 2))
        padded[1:-1, 1:-1] = x
        maps = np.array([
            [[bias[c] + (kernels[c] * padded[i : i + 3, j : j + 3]).sum() for j in range(d)] for i in range(m)]
            for c in range(len(kernels))
        ])  # fmt: skip
        x = relu(maps).reshape(-1, d)  # (C m, d)
    return p["project.weight"] @ x + p["project.bias"][:, None]


def ensemble(p: Parameters, x: Array, names: list[str]) -> Array:
    """X_{n+1} = Norm(Ensemble_i u_i(X_n) + ShortCut(X_n)). DHEN, section 3: concatenated, or a weighted sum."""
    made = [ensemble_module(under(p, f"interactions.{k}"), x, name) for k, name in enumerate(names)]
    if "weights" in p:
        joined = sum(w * u for w, u in zip(p["weights"], made, strict=True))
    else:
        joined = np.concatenate(made)
    short = p["shortcut.weight"] @ x if "shortcut.weight" in p else x
    return np.array([layer_norm(under(p, "norm"), row) for row in joined + short])


def text_windows(weight: Array, bias: Array, symbols: list[Array]) -> Array:
    """max_t ReLU(w · x_{t:t+k-1} + b) of each filter (C, d, k). Kim, EMNLP 2014, eqs. 2 to 4.

    The windows are those that hold at least one symbol, with zero vectors beyond the ends.
    """
    C, d, k = weight.shape
    if not symbols:
        return np.zeros(C)
    zeros = [np.zeros(d)] * (k - 1)
    text = [*zeros, *symbols, *zeros]
    answers = [
        relu(bias + sum(weight[:, :, j] @ text[t + j] for j in range(k))) for t in range(len(symbols) + k - 1)
    ]  # fmt: skip
    return np.max(answers, axis=0)


def recurrent(p: Parameters, items: list[Array], cell: str) -> Array:
    """The last state. LSTM: Hochreiter & Schmidhuber, 1997, with Gers et al.'s forget gate; GRU: Cho et al., 2014."""
    W, U, b, b_ = (p[f"net.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    n = U.shape[1]
    h, c = np.zeros(n), np.zeros(n)
    for x in items:
        a, r = W @ x + b, U @ h + b_
        gate = lambda k: sigmoid(a[k * n : (k + 1) * n] + r[k * n : (k + 1) * n])  # noqa: B023, E731
        if cell == "lstm":
            i, f, g, o = gate(0), gate(1), np.tanh((a + r)[2 * n : 3 * n]), gate(3)
            c = f * c + i * g
            h = o * np.tanh(c)
        else:
            reset, z = gate(0), gate(1)
            new = np.tanh(a[2 * n :] + reset * r[2 * n :])
            h = (1 - z) * new + z * h
    return h
