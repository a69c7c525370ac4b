# SPDX-License-Identifier: Apache-2.0
"""The methods, written down once more from their definitions, on PyTorch autograd in float64.

`View` is what a method sees: an ONNX graph run with PyTorch operators (onnx_torch), an input, a layer
by the name of its tensor, and a score as a function of the outputs. Each function returns the raw map.
"""
import numpy as np
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from onnx_torch import OPERATORS, Network, attributes

DOUBLE = torch.float64


def key_of(x):
    return hash(x.detach().numpy().tobytes())


# ---- Random numbers: as src/cam/noise.h specifies them -------------------------------------------

def bits(seed, index):
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (index.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(seed, first, count):
    return (bits(seed, np.arange(first, first + count)) >> np.uint64(11)).astype(float) * 2.0 ** -53


def normal(seed, first, count):
    pairs = uniform(seed, 2 * first, 2 * count)
    return np.sqrt(-2 * np.log(1 - pairs[0::2])) * np.cos(2 * np.pi * pairs[1::2])


# ---- Running ------------------------------------------------------------------------------------

class GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, high):
        ctx.save_for_backward(x)
        ctx.high = high
        return x.clamp(0, high)

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g.clamp(min=0) * ((x > 0) & (x < ctx.high)), None


class CrossedRelu(torch.autograd.Function):
    """The gradient at the given elements is that of the other side of their kink."""
    @staticmethod
    def forward(ctx, x, low, high, crossed):
        passes = (x > low) & (x < high)
        passes.view(-1)[crossed] ^= True
        ctx.save_for_backward(passes)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, g):
        passes, = ctx.saved_tensors
        return g * passes, None, None, None


def limits(node, inputs):
    if node.op_type == "Relu":
        return 0.0, np.inf
    low, high = (list(inputs[1:]) + [None, None])[:2]
    return -np.inf if low is None else float(low), np.inf if high is None else float(high)


class View:
    def __init__(self, path, x, layer, score, seed=0):
        self.network = Network(path, DOUBLE)
        self.crossed, self.known = frozenset(), {}
        self.inputs_seen = {}
        self.path, self.layer, self.score, self.seed = path, layer, score, seed
        self.x = torch.as_tensor(np.asarray(x)).to(DOUBLE)
        with torch.no_grad():
            self.a = self.run(self.x)[layer]
        self.s0 = float(score(self.outputs(self.run(self.x))))

    def outputs(self, values):
        return [values[o.name] for o in self.network.graph.output]

    def run(self, x, replaced=None, guided=False):
        """All tensors by name; `replaced` takes the place of the layer's activation."""
        values = dict(self.network.constants)
        values[self.network.input] = x
        for node in self.network.graph.node:
            inputs = [values[n] if n else None for n in node.input]
            while inputs and inputs[-1] is None:
                inputs.pop()
            if guided and node.op_type in ("Relu", "Clip"):
                high = float(inputs[2]) if node.op_type == "Clip" else np.inf
                result = GuidedRelu.apply(inputs[0], high)
            elif node.op_type in ("Relu", "Clip"):
                result = self.rectified(node, inputs, x)
            else:
                result = OPERATORS[node.op_type](attributes(node), *inputs)
            results = list(result) if isinstance(result, (tuple, list)) else [result]
            for name, tensor in zip(node.output, results):
                values[name] = replaced if name == self.layer and replaced is not None else tensor
        return values

    def rectified(self, node, inputs, x):
        crossed = [i for key, name, i in self.crossed if (key, name) == (key_of(x), node.output[0])]
        if not crossed:
            return OPERATORS[node.op_type](attributes(node), *inputs)
        return CrossedRelu.apply(inputs[0], *limits(node, inputs), crossed)

    def kinks(self):
        """(input, tensor, index) of values that lie nearer the kink of a rectifier than PyTorch's
        float32 is to its float64 in that tensor, at the inputs gradients have been asked at."""
        single, found = Network(self.path, torch.float32), []
        for key, x in self.inputs_seen.items():
            with torch.no_grad():
                exact = self.run(x)
                rough = {**single.constants, **single.run(x.float())}
            for node in self.network.graph.node:
                if node.op_type not in ("Relu", "Clip"):
                    continue
                inputs = [exact[n] if n else None for n in node.input]
                z, (low, high) = inputs[0].flatten(), limits(node, inputs)
                error = (rough[node.input[0]].flatten() - z).abs().max()
                near = torch.minimum((z - low).abs(), (z - high).abs()) <= error
                found += [(key, node.output[0], i) for i in torch.nonzero(near).flatten().tolist()]
        return found

    def score_of(self, x=None, replaced=None):
        with torch.no_grad():
            values = self.run(self.x if x is None else x, replaced)
            return float(self.score(self.outputs(values)))

    def remembered(self, kind, x, compute):
        """A gradient at x, which only crossings at x change."""
        self.inputs_seen[key_of(x)] = x.detach()
        key = (kind, key_of(x), frozenset(c for c in self.crossed if c[0] == key_of(x)))
        if key not in self.known:
            self.known[key] = compute()
        return self.known[key]

    def gradient(self, x=None, create_graph=False):
        """(activation, gradient at the layer) for an input."""
        x = self.x if x is None else x
        if create_graph:
            return self.layer_gradient(x, True)
        return self.remembered("layer", x, lambda: self.layer_gradient(x, False))

    def layer_gradient(self, x, create_graph):
        with torch.no_grad():
            a = self.run(x)[self.layer]
        a = a.detach().requires_grad_(True)
        g, = torch.autograd.grad(self.score(self.outputs(self.run(x, a))), a,
                                 create_graph=create_graph)
        return a, g

    def input_gradient(self, x=None, guided=False):
        x = (self.x if x is None else x).detach().requires_grad_(True)
        return self.remembered(f"input {guided}", x, lambda: torch.autograd.grad(
            self.score(self.outputs(self.run(x, None, guided))), x)[0])

    def pair(self):
        a, g = self.gradient()
        return a[0].detach().numpy(), g[0].numpy()


def weighted(w, a):
    return np.tensordot(w, a, 1)


# ---- Channel weights ----------------------------------------------------------------------------

def gradcam(v):
    a, g = v.pair()
    return weighted(g.mean((1, 2)), a)


def hirescam(v):
    a, g = v.pair()
    return (g * a).sum(0)


def elementwise(v):
    a, g = v.pair()
    return np.maximum(g * a, 0).sum(0)


def gradcampp(v, torchcam=False):
    a, g = v.pair()
    if torchcam:
        third, tiny = (a * g ** 3).sum((1, 2), keepdims=True), 1e-8
    else:
        third, tiny = a.sum((1, 2), keepdims=True) * g ** 3, 1e-6
    alpha = np.where(g != 0, g ** 2 / (2 * g ** 2 + third + tiny), 0)
    return weighted((np.maximum(g, 0) * alpha).sum((1, 2)), a)


def xgradcam(v):
    a, g = v.pair()
    return weighted((g * a).sum((1, 2)) / (a.sum((1, 2)) + 1e-7), a)


def layercam(v):
    a, g = v.pair()
    return (np.maximum(g, 0) * a).sum(0)


def fem(v):
    a = v.a[0].numpy()
    limit = a.mean((1, 2), keepdims=True) + 2 * a.std((1, 2), keepdims=True)
    return weighted((a > limit).mean((1, 2)), a)


def random_weights(v):
    return weighted(2 * uniform(v.seed, 0, v.a.shape[1]) - 1, v.a[0].numpy())


def cam(v):
    """The row of the linear layer, from the file."""
    node, = [n for n in v.network.graph.node if n.op_type == "Gemm"]
    w = v.network.constants[node.input[1]].numpy()
    w = w if attributes(node).get("transB", 0) else w.T
    z = torch.zeros(1, w.shape[0], dtype=DOUBLE, requires_grad=True)
    seed, = torch.autograd.grad(v.score([z]), z)
    return weighted(seed.numpy()[0] @ w, v.a[0].numpy())


def finer_score(index, alpha=1.0):
    def score(outputs):
        z = outputs[0][0]
        order = np.argsort(np.abs((z - z[index]).detach().numpy()), kind="stable")
        others = [int(i) for i in order if i != index][:3]
        p = z.softmax(0)
        top = sum(p[j] * (z[index] - alpha * z[j]) for j in others)
        return top / (sum(p[j] for j in others) + 1e-9)
    return score


def finercam(v, index):
    return gradcam(View(v.path, v.x, v.layer, finer_score(index)))


def shapleycam(v):
    a, g = v.gradient(create_graph=True)
    h = torch.zeros_like(a)
    if g.requires_grad:
        found, = torch.autograd.grad(g, a, grad_outputs=a.detach(), allow_unused=True)
        h = h if found is None else found
    w = (g.detach() - 0.5 * h)[0].numpy().mean((1, 2))
    return weighted(w, a[0].detach().numpy())


def smoothgradcampp(v, samples, sigma):
    powers = [0, 0, 0]
    for x in noisy(v, samples, sigma):
        g = v.gradient(x)[1][0].numpy()
        powers = [p + g ** (k + 1) / samples for k, p in enumerate(powers)]
    a = v.a[0].numpy()
    bottom = 2 * powers[1] + (a * powers[2]).sum((1, 2), keepdims=True) + 1e-8
    return weighted((np.maximum(powers[0], 0) * powers[1] / bottom).sum((1, 2)), a)


# ---- Principal components -----------------------------------------------------------------------

def turn(projected, a):
    total = a.sum(0).ravel()
    covariance = ((projected - projected.mean()) * (total - total.mean())).sum()
    return -projected if covariance < 0 else projected


def project(elements, a):
    rows = elements.reshape(len(elements), -1).T
    rows = rows - rows.mean(0)
    _, _, vt = np.linalg.svd(rows, full_matrices=False)
    return turn(rows @ vt[0], a).reshape(a.shape[1:])


def eigencam(v):
    a = v.a[0].numpy()
    return project(a, a)


def eigengradcam(v):
    a, g = v.pair()
    return project(g * a, a)


def segeigencam(v):
    a, g = v.pair()
    m = project(np.abs(g) * a, a)
    return -m if -m.min() > m.max() else m


def tanh_kernel(v):
    a = v.a[0].numpy()
    rows = a.reshape(len(a), -1).T
    rows = rows - rows.mean(0)
    k = np.tanh(rows @ rows.T / len(a) + 1)
    return k - k.mean(0) - k.mean(1)[:, None] + k.mean()


def kpcacam(v):
    a = v.a[0].numpy()
    values, vectors = np.linalg.eigh(tanh_kernel(v))
    return turn(np.sqrt(max(values[-1], 0)) * vectors[:, -1], a).reshape(a.shape[1:])


def dff(v, part, concepts, iterations):
    a = np.maximum(v.a[0].numpy(), 0)
    data = a.reshape(len(a), -1).T
    n, c = data.shape
    size = np.sqrt(data.mean() / concepts)
    w = size * np.abs(normal(v.seed, 0, n * concepts)).reshape(n, concepts)
    h = size * np.abs(normal(v.seed, n * concepts, concepts * c)).reshape(concepts, c)
    for _ in range(iterations):
        for j in range(concepts):
            h[j] = np.maximum(h[j] + (w[:, j] @ data - w[:, j] @ w @ h) / (w[:, j] @ w[:, j] + 1e-300), 0)
        for j in range(concepts):
            w[:, j] = np.maximum(
                w[:, j] + (data @ h[j] - w @ (h @ h[j])) / (h[j] @ h[j] + 1e-300), 0)
    length = np.linalg.norm(h, axis=1)
    order = np.argsort(-np.linalg.norm(w, axis=0) * length, kind="stable")
    return (w[:, order[part]] * length[order[part]]).reshape(a.shape[1:])


# ---- Without gradients --------------------------------------------------------------------------

def resize(m, shape, align=False):
    t = torch.as_tensor(m, dtype=DOUBLE)[None, None]
    return F.interpolate(t, shape, mode="bilinear", align_corners=align)[0, 0].numpy()


def minmax(m, tiny=1e-8):
    return (m - m.min()) / (m.max() - m.min() + tiny)


def score_masks(v, factors, noise=None, channels=0, torchcam=False):
    """Softmax over channels of mean scores; `noise` is (samples, sigma)."""
    a, shape = v.a[0].numpy(), v.x.shape[2:]
    chosen = np.argsort(-a.std((1, 2)), kind="stable")[:channels] if channels else range(len(a))
    scores = []
    for k in chosen:
        m = resize(minmax(a[k]), shape) if torchcam else minmax(resize(a[k], shape, True))
        found = []
        for i, f in enumerate(factors):
            mask = f * m
            if noise:
                count = mask.size
                first = (int(k) * noise[0] + i) * count
                mask = mask + noise[1] * normal(v.seed, first, count).reshape(shape)
            found.append(v.score_of(v.x * torch.as_tensor(mask)))
        scores.append(np.mean(found))
    w = np.zeros(len(a))
    e = np.exp(np.array(scores) - max(scores))
    w[list(chosen)] = e / e.sum()
    return weighted(w, a)


def scorecam(v, **options):
    return score_masks(v, [1.0], **options)


def sscam(v, samples, sigma, channels):
    return score_masks(v, [1.0] * samples, (samples, sigma), channels)


def iscam(v, samples, channels, linear=False):
    steps = np.arange(1, samples + 1) / samples
    return score_masks(v, steps if linear else np.cumsum(steps), channels=channels)


def ablationcam(v, zero=False):
    a = v.a
    low = float(a.min())
    value = 0.0 if low == 0 or zero else low - 1e7
    w = np.empty(a.shape[1])
    for k in range(a.shape[1]):
        changed = a.clone()
        changed[0, k] = value
        w[k] = (v.s0 - v.score_of(replaced=changed)) / v.s0
    return weighted(w, a[0].numpy())


def recipro(v, gaussian=False):
    _, _, h, w = v.a.shape
    out = np.empty((h, w))
    for y in range(h):
        for x in range(w):
            mask = np.zeros((h + 2, w + 2))
            kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16 if gaussian else np.eye(3)[1][:, None] * np.eye(3)[1]
            mask[y:y + 3, x:x + 3] = kernel
            out[y, x] = v.score_of(replaced=v.a * torch.as_tensor(mask[1:-1, 1:-1]))
    return out


def starts(extent, window, stride):
    count = -(-(extent - window) // stride) + 1
    return [min(i * stride, extent - window) for i in range(count)]


def occlusion(v, window, stride, value=0.0):
    _, _, h, w = v.x.shape
    total, times = np.zeros((h, w)), np.zeros((h, w))
    for y in starts(h, window, stride):
        for x in starts(w, window, stride):
            covered = v.x.clone()
            covered[:, :, y:y + window, x:x + window] = value
            total[y:y + window, x:x + window] += v.s0 - v.score_of(covered)
            times[y:y + window, x:x + window] += 1
    return total / np.maximum(times, 1)


def rise(v, samples, cells, p):
    _, _, h, w = v.x.shape
    ch, cw = -(-h // cells), -(-w // cells)
    total = np.zeros((h, w))
    for n in range(samples):
        u = uniform(v.seed, n * (cells ** 2 + 2), cells ** 2 + 2)
        grid = (u[:-2] < p).astype(float).reshape(cells, cells)
        up = resize(grid, ((cells + 1) * ch, (cells + 1) * cw))
        dy, dx = int(u[-2] * ch), int(u[-1] * cw)
        mask = up[dy:dy + h, dx:dx + w]
        total += v.score_of(v.x * torch.as_tensor(mask)) * mask
    return total / (samples * p)


# ---- The input ----------------------------------------------------------------------------------

def noisy(v, samples, sigma):
    size = sigma * float(v.x.max() - v.x.min())
    count = v.x.numel()
    for n in range(samples):
        yield v.x + torch.as_tensor(size * normal(v.seed, n * count, count)).reshape(v.x.shape)


def saliency(v):
    return v.input_gradient()[0].abs().amax(0).numpy()


def inputxgradient(v):
    return (v.x * v.input_gradient())[0].sum(0).numpy()


def smoothgrad(v, samples, sigma):
    mean = sum(v.input_gradient(x) for x in noisy(v, samples, sigma)) / samples
    return mean[0].abs().amax(0).numpy()


def integratedgradients(v, steps, baseline=0.0):
    t, w = np.polynomial.legendre.leggauss(5)
    parts, total = steps // 5, 0
    for part in range(parts):
        for ti, wi in zip(t, w):
            at = (part + (ti + 1) / 2) / parts
            total = total + wi / 2 / parts * v.input_gradient(baseline + at * (v.x - baseline))
    return ((v.x - baseline) * total)[0].sum(0).numpy()


def guidedbackprop(v):
    return v.input_gradient(guided=True)[0].sum(0).numpy()


def guidedgradcam(v):
    return guidedbackprop(v) * resize(np.maximum(gradcam(v), 0), v.x.shape[2:])


def fullgrad(v):
    """Biases of convolutions and BatchNormalizations, as pytorch-grad-cam sums them."""
    x = v.x.detach().requires_grad_(True)
    values = v.run(x)
    constants = v.network.constants
    biased = []
    for n in v.network.graph.node:
        if n.op_type == "Conv" and len(n.input) > 2 and n.input[2]:
            biased.append((n.output[0], constants[n.input[2]]))
        if n.op_type == "BatchNormalization":
            gamma, beta, mean, var = (constants[i] for i in n.input[1:])
            root = (var + attributes(n).get("epsilon", 1e-5)).sqrt()
            biased.append((n.output[0], beta - mean * gamma / root))
    score = v.score(v.outputs(values))
    grads = torch.autograd.grad(score, [x] + [values[name] for name, _ in biased])
    shape = v.x.shape[2:]
    planes = list((x.detach() * grads[0])[0].abs().numpy())
    for (_, bias), g in zip(biased, grads[1:]):
        planes += list((bias[:, None, None] * g[0]).abs().numpy())
    return sum(resize((p - p.min()) / (1e-7 + (p.max() - p.min())), shape) for p in planes)
