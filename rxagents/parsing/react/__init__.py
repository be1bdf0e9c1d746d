"""Parse the ReAct text protocol, for models without tool calls: text in, steps out.

    Thought: I need the weather.
    Action: weather(city="Paris, France", days=3)

A label stands at the start of a line, in upper or lower case: `Thought:`, `Action:`,
`Action Input:`, `Observation:`, `Answer:`, `Final Answer:`. Around it may be blanks, emphasis, a
list, quote or heading mark, and a number (`Thought 1:`); `<thought>` is a label too. Text before
the first label is thought.

- **Actions**: `tool(name=value, …)`, `tool({"name": value})`, `tool(value, …)`, `tool[text]`,
  `tool` alone, or `tool` with an `Action Input:` that is a JSON object or text. Values may be JSON
  or Python literals; any other value is text. `Action: None` is not a call. Each of several
  actions is a call. One object with name and input (`{"action": "tool", "action_input": …}`) is
  an action too.
- **The action `Finish` or `Final Answer`** is the answer, unless a tool has that name.
- **Markup** around arguments is removed: code fences, backticks, quotes. An object in quotes,
  `name: value` for a known parameter, and a call as the input are arguments. An object that cannot
  be read is a call that `ToolCall.parse` refuses. A fence that closes the whole step is no text.
- **An incomplete action is not a call.** If the next label or the end of the turn comes before
  the closing bracket, no call is emitted: an action that was not written to its end never runs.
  Nor does an action without brackets at the end of a turn that was cut.
- **A label inside an action** ends the action; inside a triple-quoted string it is text.
- **The answer comes last**: once it has text, everything after it belongs to it, labels included,
  since a multi-line answer may contain any line. An answer without text is ignored.
- **The model must not write observations**: `Observation:` ends the turn. So does an answer after
  an action, since the model cannot know the action's result.
"""

from rxagents.parsing.react.parser import ReActParser, Step

__all__ = ["ReActParser", "Step"]
