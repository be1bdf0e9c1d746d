"""Start the servers of `gateway`, each in a process of its own on the first core.

    python -m benchmarks.gateway_servers http://127.0.0.1:9000/v1

serves an agent whose model is at this URL, and prints the server's own URL.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import rxagents
from benchmarks.paced_server import pin
from rxagents.serve import ServeLimits, make_app, serve

MODEL = "paced"

_LITELLM_CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {url}
      api_key: none
litellm_settings:
  num_retries: 0
"""


class Gateway(NamedTuple):
    """A server that runs.

    Attributes:
        url: Its URL, without a path.
        pid: Its process.
    """

    url: str
    pid: int


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, in nanosecond steps (Linux)."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of `clock_getcpuclockid`


@contextmanager
def rxagents_gateway(provider_url: str) -> Iterator[Gateway]:
    """Run a server of rxagents; it stops when its standard input closes."""
    command = [sys.executable, "-m", __name__, provider_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # mypy joins the values of `pipes`
        yield Gateway(process.stdout.readline().strip(), process.pid)
        process.stdin.close()


async def _serve(provider_url: str) -> None:
    model = rxagents.OpenAI(MODEL, api_key="none", base_url=provider_url)
    app = make_app(rxagents.FunctionAgent(model), limits=ServeLimits(runs=10_000))
    server = asyncio.create_task(serve(app, port=0, on_start=lambda url: print(url, flush=True)))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(server.done())  # at once: draining would wait for the endless streams


@contextmanager
def litellm_gateway(python: str, provider_url: str) -> Iterator[Gateway]:
    """Run litellm's proxy with one worker.

    Args:
        python: The interpreter of an environment that has `litellm[proxy]`.
        provider_url: The URL of its only model.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(_LITELLM_CONFIG.format(model=MODEL, url=provider_url))
        command = [str(Path(python).with_name("litellm")), "--config", str(config)]
        command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
        settings = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            # It listens on this machine only, and a key would cost it time.
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        with subprocess.Popen(
            command,
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: pin(0),
        ) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                _wait_until_ready(f"{url}/health/liveliness", process)
                yield Gateway(url, process.pid)
            finally:
                process.kill()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"litellm's proxy has ended with status {process.returncode}.")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("litellm's proxy does not answer.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("provider_url")
    pin(0)
    asyncio.run(_serve(parser.parse_args().provider_url))
