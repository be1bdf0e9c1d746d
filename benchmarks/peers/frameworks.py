"""Read chat completions with frameworks for agents and models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.peers import See, Start, in_task


@asynccontextmanager
async def pydantic_ai(url: str) -> AsyncIterator[Start]:
    """Iterate over the text of `run_stream`."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=url, api_key="none")
    agent = Agent(OpenAIChatModel("replay", provider=provider))

    async def read(see: See) -> None:
        async with agent.run_stream("go") as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                see(text)

    yield in_task(read)


@asynccontextmanager
async def langchain(url: str) -> AsyncIterator[Start]:
    """Iterate over `ChatOpenAI.astream`."""
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="replay", base_url=url, api_key="none", max_retries=0)

    async def read(see: See) -> None:
        async for chunk in model.astream("go"):
            if chunk.content:
                see(chunk.content)

    yield in_task(read)


@asynccontextmanager
async def litellm(url: str) -> AsyncIterator[Start]:
    """Iterate over `acompletion`."""
    from litellm import acompletion

    async def read(see: See) -> None:
        stream = await acompletion(
            model="openai/replay",
            api_base=url,
            api_key="none",
            messages=[{"role": "user", "content": "go"}],
            stream=True,
        )
        async for chunk in stream:
            if text := chunk.choices[0].delta.content:
                see(text)

    yield in_task(read)


@asynccontextmanager
async def openai_agents(url: str) -> AsyncIterator[Start]:
    """Iterate over the events of `Runner.run_streamed`."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    agent = Agent(name="replay", model=OpenAIChatCompletionsModel("replay", client))

    async def read(see: See) -> None:
        async for event in Runner.run_streamed(agent, "go").stream_events():
            if (
                event.type == "raw_response_event"
                and event.data.type == "response.output_text.delta"
            ):
                see(event.data.delta)

    yield in_task(read)


@asynccontextmanager
async def agno(url: str) -> AsyncIterator[Start]:
    """Iterate over the events of `Agent.arun`."""
    from agno.agent import Agent
    from agno.models.openai.like import OpenAILike

    async def read(see: See) -> None:
        model = OpenAILike(id="replay", base_url=url, api_key="none", max_retries=0)
        agent = Agent(model=model, telemetry=False)
        async for event in agent.arun("go", stream=True):
            if text := getattr(event, "content", None):
                see(text)

    yield in_task(read)


@asynccontextmanager
async def strands(url: str) -> AsyncIterator[Start]:
    """Iterate over the events of `Agent.stream_async`."""
    from strands import Agent
    from strands.models.openai import OpenAIModel

    arguments = {"base_url": url, "api_key": "none", "max_retries": 0}
    model = OpenAIModel(client_args=arguments, model_id="replay")

    async def read(see: See) -> None:
        agent = Agent(model=model, callback_handler=None)
        async for event in agent.stream_async("go"):
            if "data" in event:
                see(event["data"])

    yield in_task(read)
