"""The ReAct text protocol, for models without tool calls: text in, steps out.

    Thought: I need the weather.
    Action: weather(city="Paris, France", days=3)

A label stands at the start of a line, in any case, with blanks or markdown emphasis around it:
`Thought:`, `Action:`, `Action Input:`, `Observation:`, `Answer:`, `Final Answer:`. Text before
the first label is thought.

- **Actions**: `tool(name=value, …)`, `tool({"name": value})`, `tool(value, …)`, `tool[text]`,
  `tool` alone, or `tool` with an `Action Input:` that is a JSON object or text. Values may be JSON
  or Python literals; what is none is text. `Action: None` is no call. Several actions are each
  a call.
- **Half an action is no call.** A bracket that the next label or the end leaves open emits
  nothing: what was not written to its end never runs.
- **Labels inside an action** end it; only inside a triple-quoted string are they text.
- **The answer is last**: once it has text, what follows is part of it, labels too, for a
  multi-line answer may hold any line. An answer without text is none.
- **An observation is not the model's to make**: `Observation:` ends the turn, and so does an
  answer after an action, whose result the model cannot know.
"""

from rxagents.parsing.react.parser import ReActParser, Step

__all__ = ["ReActParser", "Step"]
