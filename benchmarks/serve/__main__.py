"""A server under load on this machine: latency, refusals, memory, and an index that is replaced meanwhile.

    python -m benchmarks.serve WORK [--seconds 20] [--memory 600] [--out FILE]

A model of the size of MiniLM-L6 (6 layers of 384; random weights take the same time as trained ones) and an index of
the toy collection are made in WORK. Clients and server share this machine.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from splade.data.collections.opening import open_collection
from splade.indexing import InvertedIndex

TOY = Path(__file__).parents[2] / "data/toy"
CLIENTS = (1, 4, 16, 64)


def main() -> None:
    """Run all parts and print their tables as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each level of load")
    parser.add_argument("--memory", type=float, default=600.0, help="seconds of load while memory is watched")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    prepare(options.work)
    texts = [text.text[:300] for text in open_collection(TOY / "collection")]
    told: dict = {"cpus": os.cpu_count(), "load": os.getloadavg()}
    for name, extra in (("batched", []), ("one by one", ["serve.max_batch_requests=1"])):
        with server(options.work, *extra) as (port, _):
            told[name] = levels(port, "/embed_sparse", bodies(texts), options.seconds)
            if not extra:
                told["search"] = levels(port, "/search", queries(texts), options.seconds)
    with server(options.work, "serve.max_concurrent_requests=8") as (port, _):
        told["beyond a queue of 8"] = asyncio.run(load(port, "/embed_sparse", bodies(texts), 64, options.seconds))
    with server(options.work) as (port, pid):
        told["replaced"] = replaced(options.work, port, texts, options.seconds)
        told["memory"] = watched(port, pid, texts, options.memory)
    print(json.dumps(told, indent=1))
    if options.out:
        options.out.write_text(json.dumps(told, indent=1))


def prepare(work: Path) -> None:
    """Make the model and its index in ``work``, once."""
    if (work / "index").is_dir():
        return
    from benchmarks.measure import default_tokenizer, make_model
    from splade.models import Splade, save_retriever

    texts = list(open_collection(TOY / "collection"))
    plain = make_model(work / "plain", "minilm", default_tokenizer(), texts, 128)
    save_retriever(Splade(plain, max_length=128), work / "checkpoint/model")
    folders = [f"config.checkpoint_dir={work}/checkpoint", f"config.index_dir={work}/index"]
    subprocess.run([sys.executable, "-m", "splade.index", *folders], check=True)


@contextmanager
def server(work: Path, *extra: str):
    """A running server: its port and process id."""
    folders = [f"config.checkpoint_dir={work}/checkpoint", f"config.index_dir={work}/index"]
    command = [sys.executable, "-m", "splade.serve", *folders, "serve.port=0", "serve.reload_seconds=0.5", *extra]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = next(line for line in process.stderr if "serving at" in line)
    threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
    try:
        yield int(line.split("http://127.0.0.1:")[1].split()[0]), process.pid
    finally:
        process.terminate()
        process.wait()


def levels(port: int, path: str, requests: list[str], seconds: float) -> dict:
    """The load of each number of clients."""
    return {n: asyncio.run(load(port, path, requests, n, seconds)) for n in CLIENTS}


def queries(texts: list[str]) -> list[str]:
    """A search for the beginning of each text."""
    return [json.dumps({"query": text[:60], "k": 10}) for text in texts]


def bodies(texts: list[str]) -> list[str]:
    """A request for each text."""
    return [json.dumps({"inputs": text}) for text in texts]


async def load(port: int, path: str, requests: list[str], n_clients: int, seconds: float) -> dict:
    """Ask from ``n_clients`` at once, each again as soon as it is answered; a client waits as Retry-After says."""
    times: list[float] = []
    statuses: Counter[int] = Counter()
    end = time.monotonic() + seconds

    async def client(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        place = first
        while time.monotonic() < end:
            body = requests[place % len(requests)].encode()
            place += n_clients
            began = time.monotonic()
            status, headers = await ask(reader, writer, path, body)
            statuses[status] += 1
            if status == 200:
                times.append(time.monotonic() - began)
            elif status == 429:
                await asyncio.sleep(float(headers["retry-after"]))
        writer.close()

    await asyncio.gather(*(client(place) for place in range(n_clients)))
    ordered = sorted(times)
    if not ordered:
        raise SystemExit(f"{path}, {n_clients} clients: nothing was answered ({dict(statuses)})")
    return {
        "statuses": dict(statuses),
        "per second": round(len(times) / seconds, 1),
        "p50 ms": round(1000 * statistics.median(ordered), 1),
        "p95 ms": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 1),
    }


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes
) -> tuple[int, dict[str, str]]:
    """Status and headers of one answer, its body read."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await writer.drain()
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers


def replaced(work: Path, port: int, texts: list[str], seconds: float) -> dict:
    """Searches by 16 clients while the index is replaced again and again by two others in turn."""
    index = InvertedIndex.open(work / "index")
    stop, times = threading.Event(), 0

    def replace() -> None:
        nonlocal times
        while not stop.wait(1.0):
            index.save(work / "index")
            times += 1

    writer = threading.Thread(target=replace)
    writer.start()
    told = asyncio.run(load(port, "/search", queries(texts), 16, seconds))
    stop.set()
    writer.join()
    return told | {"times replaced": times}


def watched(port: int, pid: int, texts: list[str], seconds: float) -> dict:
    """Resident memory in MiB, ten times, under load of 16 clients."""
    kept = []
    for _ in range(10):
        asyncio.run(load(port, "/embed_sparse", bodies(texts), 16, seconds / 10))
        status = Path(f"/proc/{pid}/status").read_text()
        kept.append(round(int(status.split("VmRSS:")[1].split()[0]) / 1024))
    return {"seconds": seconds, "MiB": kept}


if __name__ == "__main__":
    main()
