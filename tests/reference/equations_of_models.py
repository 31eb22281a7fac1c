"""The models' equations in NumPy, an example at a time: parameters by name, fields and rows in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import equations as eq
import numpy as np
from equations import Array, Parameters, mlp, relu, sigmoid, under

from recsys_lite.fields import Field, Rows


def first_rows(fields: Sequence[Field], share: bool = True) -> dict[str, int]:
    """The first row of each field in a table of all features: field after field, those with rows of their own first."""
    first: dict[str, int] = {}
    total = 0
    for f in fields:
        if not share or f.table == f.name:
            first[f.name], total = total, total + f.size
    for f in fields:
        if f.name not in first:
            if f.table not in first:  # the owner of the rows is not among the fields
                first[f.table], total = total, total + f.size
            first[f.name] = first[f.table]
    return first


def features(fields: Sequence[Field], x: Rows, b: int, share: bool = True) -> list[list[tuple[int, float]]]:
    """Of each field, the active features of example b: row of the table and x_i. A bag of n values has x_i = 1/n."""
    first, found, c, m = first_rows(fields, share), [], 0, 0
    for f in fields:
        if f.kind == "categorical":
            found.append([(first[f.name] + int(x.ids[b, c]), 1.0)])
            c += 1
        elif f.kind == "numeric":
            found.append([(first[f.name], float(x.numeric[b, m]))])
            m += 1
        else:
            values = [int(v) for v in x.bags[f.name][b] if v >= 0]
            found.append([(first[f.name] + v, 1 / len(values)) for v in values])
    return found


def embedded(p: Parameters, fields: Sequence[Field], x: Rows, b: int) -> Array:
    """e_f = Σ_{i in f} x_i v_i, (F, d)."""
    table = p["table.weight"]
    zero = np.zeros(table.shape[1])
    return np.array([sum((v * table[row] for row, v in some), zero) for some in features(fields, x, b)])


def by_example(equation):
    """An equation of one example, for all rows."""
    return lambda p, x: np.array([equation(p, x, b) for b in range(len(x.ids))])


def linear(p: Parameters, fields: Sequence[Field], x: Rows, b: int) -> float:
    """w_0 + Σ_i w_i x_i."""
    active = [pair for some in features(fields, x, b, share=False) for pair in some]
    return float(p["bias"]) + sum(p["weights.table.weight"][row, 0] * v for row, v in active)


def logistic_regression(p, fields, x, b):
    """Richardson et al., WWW 2007."""
    return linear(p, fields, x, b)


def fm(p, fields, x, b):
    """w_0 + Σ_i w_i x_i + Σ_i Σ_{j>i} ⟨v_i, v_j⟩ x_i x_j. Rendle, ICDM 2010, eq. 1."""
    table = p["embedding.table.weight"]
    vectors = [v * table[row] for some in features(fields, x, b) for row, v in some]
    return linear(p, fields, x, b) + eq.pairs(vectors)


def deepfm(p, fields, x, b):
    """y_FM + y_DNN on the same vectors. Guo et al., IJCAI 2017, eqs. 1 to 4."""
    e = embedded(under(p, "embedding"), fields, x, b)
    return fm(p, fields, x, b) + mlp(under(p, "mlp"), e.reshape(-1), True)[0]


def values_of(fields, x, b, name):
    """The value numbers of a field of example b."""
    if name in x.bags:
        return [int(v) for v in x.bags[name][b] if v >= 0]
    return [int(x.ids[b, [f.name for f in fields if f.kind == "categorical"].index(name)])]


def wide_deep(p, fields, x, b, crosses):
    """w_wideᵀ [x, φ(x)] + w_deepᵀ a + b. Cheng et al., DLRS 2016, eqs. 1 and 3; every combination has a weight."""
    size = {f.name: f.size for f in fields}
    total, first = linear(p, fields, x, b), 0
    for cross in crosses:
        sizes = [size[name] for name in cross]
        for values in product(*(values_of(fields, x, b, name) for name in cross)):
            if all(values):  # 0 is a value that training never showed
                total += p["crosses.weight"][first + np.ravel_multi_index(values, sizes)]
        first += int(np.prod(sizes))
    e = embedded(under(p, "embedding"), fields, x, b)
    return total + mlp(under(p, "mlp"), e.reshape(-1), True)[0]


def field_mlp(p, fields, x, b):
    """b + wᵀ h_L. Cheng et al., DLRS 2016, the deep part alone."""
    e = embedded(under(p, "embedding"), fields, x, b)
    return float(p["bias"]) + mlp(under(p, "mlp"), e.reshape(-1), True)[0]


def ncf(p, fields, x, b):
    """hᵀ [p_G ⊙ q_G, φ^MLP(p_M, q_M)]. He et al., WWW 2017, eqs. 9 to 12."""
    pair = [f for f in fields if f.name in ("user", "item")]
    both = Rows(np.array([[values_of(fields, x, b, f.name)[0] for f in pair]]), np.zeros((1, 0)))
    parts = []
    if "gmf.table.weight" in p:
        user, item = embedded(under(p, "gmf"), pair, both, 0)
        parts.append(user * item)
    if "sides.table.weight" in p:
        h = embedded(under(p, "sides"), pair, both, 0).reshape(-1)
        for k in range(len(under(p, "mlp")) // 2):
            h = relu(p[f"mlp.{2 * k}.weight"] @ h + p[f"mlp.{2 * k}.bias"])
        parts.append(h)
    return p["h"] @ np.concatenate(parts) + float(p.get("bias", 0.0))


def stacked_input(p, fields, x, b, sizes=None):
    """x_0 = [x_embed,1, …, x_embed,k, x_dense]. Wang et al., DCN, 2017, eq. 2."""
    some = [f for f in fields if f.kind != "numeric"]
    numeric = np.array([x.numeric[b, k] for k in range(sum(f.kind == "numeric" for f in fields))])
    if not sizes:
        e = list(embedded(under(p, "embedding"), some, x, b))
        return np.concatenate([*e, numeric])
    found, lengths = {}, sorted(set(sizes.values()))
    for k, length in enumerate(lengths):  # fields of one length have a table of their own
        group = [f for f in some if sizes[f.name] == length]
        ids = np.array([[values_of(fields, x, b, f.name)[0] for f in group if f.kind == "categorical"]], dtype=int)
        bags = {f.name: x.bags[f.name][b : b + 1] for f in group if f.is_bag}
        made = embedded(under(p, f"embedding.tables.{k}"), group, Rows(ids, x.numeric, bags), 0)
        found |= {f.name: e for f, e in zip(group, made, strict=True)}
    return np.concatenate([*(found[f.name] for f in some), numeric])


def cross_model(p, fields, x, b, cross, structure, sizes=None):
    """[x_L, h_L] w in parallel (DCN, eq. 5), MLP(x_L) stacked, or x_L w alone. Wang et al., DCN V2, section 3."""
    x0 = stacked_input(under(p, "input"), fields, x, b, sizes)
    xL, deep = cross(under(p, "cross"), x0), under(p, "mlp")
    if structure == "parallel":
        last = np.concatenate([xL, mlp(deep, x0, False)])
    else:
        last = mlp(deep, xL, False) if structure == "stacked" else xL
    return p["combine.weight"][0] @ last + p["combine.bias"][0]


def autoint(p, fields, x, b, layers, heads, code):
    """w^T [e_1^Res, …, e_M^Res] + b after L interacting layers. Song et al., CIKM 2019, eqs. 4 to 9."""
    e = start = embedded(under(p, "embedding"), fields, x, b)
    for k in range(layers):
        e = eq.interacting(under(p, f"layers.{k}"), e, heads, code)
    z = p["combine.weight"][0] @ e.reshape(-1) + p["combine.bias"][0]
    return z + mlp(under(p, "mlp"), start.reshape(-1), True)[0] if under(p, "mlp") else z


def with_numbers(p, fields, x, b):
    """A vector of all numbers, made by a network with ReLU after every layer, and the embeddings. DLRM, section 2."""
    some = [f for f in fields if f.kind != "numeric"]
    e = list(embedded(under(p, "embedding"), some, x, b))
    numbers = [mlp(under(p, "bottom"), x.numeric[b], False)] if under(p, "bottom") else []
    return numbers + e


def dlrm(p, fields, x, b):
    """MLP_top [z_0, ⟨t_i, t_j⟩ for j < i]. Naumov et al., arXiv 1906.00091, section 2.2."""
    vectors = with_numbers(p, fields, x, b)
    if "constant" in p:
        vectors = [p["constant"], *vectors]
    return mlp(under(p, "top"), np.concatenate([vectors[0], eq.dots(vectors)]), True)[0]


def dhen(p, fields, x, b, layers, modules):
    """w^T vec(X_L) + b. Zhang et al., arXiv 2203.11014, section 3."""
    X = np.array(with_numbers(p, fields, x, b))
    for k in range(layers):
        X = eq.ensemble(under(p, f"layers.{k}"), X, modules)
    return p["combine.weight"][0] @ X.reshape(-1) + p["combine.bias"][0]


def tower(p, fields, names, x, b):
    """MLP([e_1, …, e_F]) of one side."""
    chosen = [next(f for f in fields if f.name == name) for name in names]
    ids = np.array([[values_of(fields, x, b, f.name)[0] for f in chosen if f.kind == "categorical"]], dtype=int)
    bags = {f.name: x.bags[f.name][b : b + 1] for f in chosen if f.is_bag}
    e = embedded(under(p, "embedding"), chosen, Rows(ids, x.numeric[b : b + 1], bags), 0)
    return mlp(under(p, "mlp"), e.reshape(-1), True)


def two_towers(p, fields, x, b, query, candidate, cosine=False, temperature=1.0):
    """⟨u(x), v(y)⟩ / τ, of unit vectors for the cosine. Yi et al., RecSys 2019, eq. 1 and section 3."""
    u = tower(under(p, "query_tower"), fields, query, x, b)
    v = tower(under(p, "candidate_tower"), fields, candidate, x, b)
    if cosine:
        u, v = u / np.sqrt(u @ u), v / np.sqrt(v @ v)
    return u @ v / temperature + float(p["bias"])


def split_network(p, fields, x, b, query, candidate, multiplied=True):
    """MLP_head [u, v, u ⊙ v], or of [u, v]."""
    u = tower(under(p, "towers.query_tower"), fields, query, x, b)
    v = tower(under(p, "towers.candidate_tower"), fields, candidate, x, b)
    return mlp(under(p, "head"), np.concatenate([u, v, u * v] if multiplied else [u, v]), True)[0]


def pal(p, fields, x, b, inner):
    """logit of p(seen | pos) p(click | seen, x), of which the first is 1 where pos is not known. Guo et al., 2019."""
    z = inner(under(p, "served.inner"), x, b)
    position = values_of(fields, x, b, "position")[0]
    chance = sigmoid(z) * (sigmoid(p["tower.weight"][position]) if position else 1.0)
    return np.log(chance / (1 - chance))


def watch_next(p, fields, x, b, inner):
    """logit_main + logit_shallow, the latter 0 where position or device is not known. Zhao et al., 2019, 4.4."""
    place = tuple(values_of(fields, x, b, name)[0] for name in ("position", "device"))
    return inner(under(p, "served.inner"), x, b) + (p["tower.weight"][place] if all(place) else 0.0)


def text_cnn(p, fields, x, b, text):
    """Kim, EMNLP 2014: the strongest answer of each filter beside the other fields' vectors, through a network."""
    symbols = [p["symbols.table.weight"][v] for v in values_of(fields, x, b, text)]
    read = eq.text_windows(p["convolution.convolutions.0.weight"], p["convolution.convolutions.0.bias"], symbols)
    others = [f for f in fields if f.name != text]
    e = embedded(under(p, "others"), others, x, b)
    return float(p["bias"]) + mlp(under(p, "mlp"), np.concatenate([e.reshape(-1), read]), True)[0]


def next_item(p, history, reader):
    """⟨P h(x_1, …, x_n), v_i⟩ + b_i for histories (B, L), latest first. Hidasi et al., ICLR 2016."""
    out = []
    for row in history:
        items = [p["items.weight"][v] for v in row[::-1] if v >= 0]
        if reader == "mean":
            h = sum(items) / len(items) if items else np.zeros(p["items.weight"].shape[1])
        else:
            h = eq.recurrent(under(p, "reader"), items, reader)
        query = p["project.weight"] @ h + p["project.bias"]
        out.append([query @ p["items.weight"][i] + p["bias"][i] for i in p["rows"]])
    return np.array(out)


def lightgcn(table, pairs, users, items, alpha):
    """E = Σ_k α_k (D^-½ A D^-½)^k E⁰, y_ui = e_uᵀ e_i. He et al., LightGCN, SIGIR 2020, eqs. 3 to 8: sums over N(u)."""
    edges = {(u, users + i) for u, i in pairs}
    near = [[b if a == n else a for a, b in edges if n in (a, b)] for n in range(users + items)]
    state, total = table, alpha[0] * table
    for weight in alpha[1:]:
        state = np.array([
            sum((state[o] / np.sqrt(len(near[n])) / np.sqrt(len(near[o])) for o in near[n]), np.zeros(table.shape[1]))
            for n in range(users + items)
        ])  # fmt: skip
        total = total + weight * state
    return total[:users] @ total[users:].T


def ngcf(p, pairs, users, items, layers, weights, nonlinear, combine):
    """e_u' = LeakyReLU(W₁ e_u + Σ_i (W₁ e_i + W₂ (e_i ⊙ e_u)) / √(d_u d_i)), the layers side by side or summed.

    Wang et al., Neural Graph Collaborative Filtering, SIGIR 2019, eqs. 3 to 6 and 9: messages, edge by edge.
    """
    edges = {(u, users + i) for u, i in pairs}
    near = [[b if a == n else a for a, b in edges if n in (a, b)] for n in range(users + items)]
    state, states = p["table"], [p["table"]]
    same = np.eye(state.shape[1])
    for k in range(layers):
        first, second = (p[f"{name}.{k}.weight"] if weights else same for name in ("first", "second"))
        new = []
        for n in range(users + items):
            total = first @ state[n]
            for o in near[n]:
                message = first @ state[o] + second @ (state[o] * state[n])
                total = total + message / np.sqrt(len(near[n]) * len(near[o]))
            new.append(np.where(total > 0, total, 0.2 * total) if nonlinear else total)
        state = np.array(new)
        states.append(state)
    e = np.concatenate(states, 1) if combine == "concat" else sum(states)
    return e[:users] @ e[users:].T
