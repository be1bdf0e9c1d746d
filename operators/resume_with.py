"""Continue an answer that was cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable

from rxagents.core.backoff import is_transient
from rxagents.core.checks import checked_count, checked_function
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import BadRequestError, ConfigurationError, StreamCancelledError
from rxagents.core.message_input import to_messages
from rxagents.core.protocols import Messages, StreamingLLM
from rxagents.core.settings import SettingsArguments
from rxagents.core.tools import ToolLike
from rxagents.operators._resuming import Resumer, Step
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.reporting import nonfatal


@operator_factory
def resume_with(
    model: StreamingLLM,
    messages: Messages,
    tools: Sequence[ToolLike] | None = None,
    *,
    max_resumes: int = 1,
    prefill: bool | None = None,
    resume_if: Callable[[Exception], bool] = is_transient,
    **settings: Unpack[SettingsArguments],
) -> Callable[[Observable[StreamChunk]], Observable[StreamChunk]]:
    """Let a model continue an answer that was cut, from the text that has come.

    The text so far goes back as the beginning of the answer where the model's API continues it
    (prefill). Where it does not, the model is asked to repeat the last 60 characters at most and
    to go on; the repetition is removed, also that of the whole text. A chunk with
    `metadata["resumed"]`, an `ErrorInfo`, marks the seam. `index`, `content` and `usage` go on
    over it.

    Fragments of a tool call are held back until the call is complete. A call that was cut is made
    anew. After a complete call the turn ends with it, finish reason `"tool_calls"`: it may run
    already, and the model goes on after its result. Thinking cannot be continued: the model thinks
    again. A refusal, and a stream with several choices, is not continued.

    .. marble::
        --(The sky)--#
                     ---( is)--( blue)--|
        [ resume_with(model, messages) ]
        --(The sky)--(seam)---( is)--( blue)--|

    Emits when: the source emits and, after it was cut, the model's stream does.
    Backpressures when: downstream does.
    Completes when: the source completes or, after it was cut, the model's stream does.

    Args:
        model: The model that continues; it may be the same.
        messages: The conversation whose answer the source is.
        tools: The tools that the model may call.
        max_resumes: How often to continue.
        prefill: Whether the model's API continues an assistant's message at the end of the
            conversation. By default as the model says (`BaseLLM.takes_prefill`: Anthropic and
            Ollama); if the host then refuses it with a 400, the model is asked instead.
        resume_if: Returns whether to continue after an error; by default as `retry_with_backoff`.
            Never called for `StreamCancelledError`.
        settings: Settings for the model, such as `extra_body` where a host needs it for prefill.

    Returns:
        An operator from chunks to chunks.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; in the stream,
            if the source emits anything but chunks.
        Exception: In the stream, the last error, if it is not continued; and whatever `resume_if`
            raises.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import StreamChunk, operators as ops
        >>> from rxagents.testing import ScriptedLLM
        >>> cut = rx.concat(rx.of(StreamChunk("The sky is")), rx.throw(OSError("reset")))
        >>> llm = ScriptedLLM("The sky is blue.")
        >>> answer = cut.pipe(ops.resume_with(llm, "Which colour?"), ops.collect())
        >>> rxagents.run(answer).content
        'The sky is blue.'
    """
    if not callable(getattr(model, "chat_stream", None)):
        raise ConfigurationError(
            f"model must be a model with chat_stream, not {type(model).__name__}."
        )
    checked_count("max_resumes", max_resumes)
    checked_function("resume_if", resume_if)
    conversation = to_messages(messages)
    is_chosen = prefill is not None
    takes_prefill = bool(getattr(model, "takes_prefill", False)) if prefill is None else prefill

    def resume_with_(source: Observable[StreamChunk]) -> Observable[StreamChunk]:
        def subscribe(
            observer: abc.ObserverBase[StreamChunk], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            resumer = Resumer(observer)
            subscriptions = CompositeDisposable()
            rest = max_resumes
            is_prefilled = False
            may_prefill = takes_prefill

            def is_wanted(error: Exception) -> bool:
                return not isinstance(error, StreamCancelledError) and resume_if(error)

            def on_error(error: Exception) -> None:
                nonlocal rest, may_prefill
                step = resumer.next_step()
                refused = isinstance(error, BadRequestError) and is_prefilled
                try:
                    if step is not Step.FAIL and refused and not is_chosen:
                        may_prefill = False
                        rest += 1
                    elif step is not Step.FAIL and not is_wanted(error):
                        step = Step.FAIL
                except BaseException as failure:
                    step, error = Step.FAIL, nonfatal(failure)
                if step is Step.FINISH:
                    resumer.finish(error)
                elif step is Step.FAIL or not rest:
                    resumer.fail(error)
                else:
                    rest -= 1
                    start(error)

            def start(error: Exception) -> None:
                nonlocal is_prefilled
                asked = resumer.resume(conversation, error, prefill=may_prefill)
                is_prefilled = may_prefill and asked[-1].role == "assistant"
                try:
                    stream = model.chat_stream(asked, tools, **settings)
                except Exception as failure:
                    resumer.fail(failure)
                    return
                if not subscriptions.is_disposed:
                    add(stream)

            def add(stream: Observable[StreamChunk]) -> None:
                subscriptions.add(
                    stream.subscribe(
                        resumer.on_next, on_error, resumer.on_completed, scheduler=scheduler
                    )
                )

            add(source)
            return subscriptions

        return Observable(subscribe)

    return resume_with_
