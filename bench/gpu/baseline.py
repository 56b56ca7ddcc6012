"""What PyTorch takes for the same work: the other side of `npm run bench:gpu`.

Reads one request a line (JSON) from stdin and answers with one line: {"name": ..., "us": microseconds per call}, or
{"error": ...}. Inputs are random; a call is timed as ours is, by replays of a CUDA graph of many calls.
"""

import json
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
BATCH_MS = 25.0
REPLAYS = 7


def random(dtype, *shape):
    return (torch.rand(shape, device="cuda", dtype=torch.float32) * 2 - 1).to(DTYPES[dtype])


def copy(r):
    words = r["bytes"] // 8
    a, b = (torch.rand(words, device="cuda", dtype=torch.float32) for _ in range(2))
    return "torch copy", [lambda: b.copy_(a)]


def matmul(r):
    """x [T, K] times W^T with W [N, K]; `copies` weights in turn, so that none stays in the L2 cache."""
    x = random(r["dtype"], r["T"], r["K"])
    weights = [random(r["dtype"], r["N"], r["K"]) for _ in range(r["copies"])]
    return "torch.matmul", [lambda w=w: torch.matmul(x, w.t()) for w in weights]


def head_matmul(r):
    """x [T, H, K], each head through its own W [N, K]; `copies` weights in turn."""
    x = random(r["dtype"], r["T"], r["H"], r["K"]).transpose(0, 1)
    weights = [random(r["dtype"], r["H"], r["N"], r["K"]) for _ in range(r["copies"])]
    return "torch.bmm", [lambda w=w: torch.bmm(x, w.transpose(1, 2)) for w in weights]


def sdpa(r):
    """Attention of B sequences with Lq queries and L keys each, forced to cuDNN."""
    q = random(r["dtype"], r["B"], r["Hq"], r["Lq"], r["Dh"])
    k, v = (random(r["dtype"], r["B"], r["Hkv"], r["L"], r["Dh"]) for _ in range(2))

    def call():
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            F.scaled_dot_product_attention(q, k, v, is_causal=r["causal"], enable_gqa=r["Hq"] != r["Hkv"])

    return "torch SDPA (cuDNN)", [call]


def grouped_mm(r):
    """M rows, spread evenly over E experts, through up ([2F, D], with SwiGLU when asked): torch._grouped_mm."""
    M, E, K, N = r["M"], r["E"], r["K"], r["N"]
    x = random(r["dtype"], r["T"], K)
    rows = torch.arange(M, device="cuda") % r["T"]
    weights = [random(r["dtype"], E, N, K) for _ in range(r["copies"])]
    ends = torch.tensor([round((e + 1) * M / E) for e in range(E)], device="cuda", dtype=torch.int32)

    def call(w):
        y = torch._grouped_mm(x.index_select(0, rows), w.transpose(1, 2), offs=ends)
        return F.silu(y[:, : N // 2]) * y[:, N // 2 :] if r["swiglu"] else y

    return "torch._grouped_mm", [lambda w=w: call(w) for w in weights]


def rms_norm(r):
    x, weight = random(r["dtype"], r["T"], r["D"]), random(r["dtype"], r["D"])
    return "torch rms_norm", [lambda: F.rms_norm(x, (r["D"],), weight, 1e-6)]


def silu_mul(r):
    x = random(r["dtype"], r["T"], 2 * r["F"])
    return "torch silu, mul", [lambda: F.silu(x[:, : r["F"]]) * x[:, r["F"] :]]


def softmax(r):
    x = random(r["dtype"], r["T"], r["D"])
    return "torch softmax", [lambda: torch.softmax(x, -1)]


def causal_conv1d(r):
    """Inputs [B, D, L] behind W - 1 earlier ones, as PyTorch has them; no state is kept."""
    x = random(r["dtype"], r["B"], r["D"], r["W"] - 1 + r["L"])
    weight, bias = random(r["dtype"], r["D"], 1, r["W"]), random(r["dtype"], r["D"])
    return "torch conv1d, silu", [lambda: F.silu(F.conv1d(x, weight, bias, groups=r["D"]))]


def argmax(r):
    x = random(r["dtype"], r["T"], r["D"])
    return "torch argmax", [lambda: torch.argmax(x, -1)]


FUNCTIONS = (copy, matmul, head_matmul, sdpa, grouped_mm, rms_norm, silu_mul, softmax, causal_conv1d, argmax)
KINDS = {f.__name__: f for f in FUNCTIONS}


def replay_us(calls, count):
    """Median microseconds per call over replays of a graph of `count` calls, by device events."""
    for call in calls:
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(count):
            calls[i % len(calls)]()
    times = []
    for _ in range(REPLAYS + 1):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / count)
    return sorted(times[1:])[REPLAYS // 2]  # the first replay uploads the graph


def answer(request):
    name, calls = KINDS[request["kind"]](request)
    once = replay_us(calls, len(calls))
    count = max(len(calls), min(2000, int(BATCH_MS * 1000 / max(once, 0.1))))
    return {"name": name, "us": replay_us(calls, count)}


def main():
    versions = f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
    print(json.dumps({"versions": versions, "gpu": torch.cuda.get_device_name()}), flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as e:  # the caller prints it in the row's place and goes on
            reply = {"error": f"{type(e).__name__}: {e}".splitlines()[0]}
        torch.cuda.empty_cache()
        print(json.dumps(reply), flush=True)


main()
