// Short chat templates in the form that the families publish: how calls, results and thoughts are written, and little else.

const chatml = (call: string, end: string): string =>
  "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}\n<|im_end|>\n{% endif %}" +
  "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n" +
  "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}" +
  `{% for c in m.tool_calls or [] %}{% set f = c.function %}\n${call}{% endfor %}<|im_end|>\n` +
  "{% elif m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n</tool_response><|im_end|>\n" +
  "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}" +
  `{% if add_generation_prompt %}<|im_start|>assistant\n${end}{% endif %}`;

const hermes = '<tool_call>\n{"name": "{{ f.name }}", "arguments": {{ f.arguments | tojson }}}\n</tool_call>';
const qwen3Coder =
  "<tool_call>\n<function={{ f.name }}>\n{% for k, v in f.arguments | items %}<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>";
const glm =
  "<tool_call>{{ f.name }}\n{% for k, v in f.arguments | items %}<arg_key>{{ k }}</arg_key>\n" +
  "<arg_value>{{ v if v is string else v | tojson }}</arg_value>\n{% endfor %}</tool_call>";
const kimi =
  "<|tool_call_begin|>functions.{{ f.name }}:{{ loop.index0 }}<|tool_call_argument_begin|>{{ f.arguments | tojson }}<|tool_call_end|>";
const dsml =
  '<｜DSML｜invoke name="{{ f.name }}">\n{% for k, v in f.arguments | items %}<｜DSML｜parameter name="{{ k }}" ' +
  "string=\"{{ 'true' if v is string else 'false' }}\">{{ v if v is string else v | tojson }}</｜DSML｜parameter>\n{% endfor %}</｜DSML｜invoke>\n";
const python =
  "{{ f.name }}({% for k, v in f.arguments | items %}{{ k }}={{ v | tojson }}{{ '' if loop.last else ', ' }}{% endfor %})";

/** A row of messages, each with its call between markers of its own. */
const deepseek = (call: string): string =>
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<｜User｜>{{ m.content }}" +
  "{% elif m.role == 'tool' %}<｜tool▁output▁begin｜>{{ m.content }}<｜tool▁output▁end｜>" +
  `{% elif m.tool_calls %}<｜Assistant｜>{{ m.content or '' }}<｜tool▁calls▁begin｜>{% for c in m.tool_calls %}${call}{% endfor %}<｜tool▁calls▁end｜><｜end▁of▁sentence｜>` +
  "{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}";

const llama =
  "{{ bos_token }}{% for m in messages %}{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}{{ raise_exception('one call at once') }}{% endif %}" +
  "{% set f = m.tool_calls[0].function %}<|start_header_id|>assistant<|end_header_id|>\n\n" +
  '{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}<|eot_id|>' +
  "{% else %}<|start_header_id|>{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>\n\n{{ m.content }}" +
  "{% if tools and loop.first %}{{ tools | tojson }}{% endif %}<|eot_id|>{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

const mistral = (call: string, open: string, close: string): string =>
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}[INST]{{ m.content }}[/INST]" +
  "{% elif m.role == 'tool' %}{% if m.tool_call_id | length != 9 %}{{ raise_exception('ids have 9 characters') }}{% endif %}[TOOL_RESULTS]{{ m.tool_call_id }}{{ m.content }}[/TOOL_RESULTS]" +
  `{% else %}{{ m.content }}{% if m.tool_calls %}${open}{% for c in m.tool_calls %}{% if c.id | length != 9 %}{{ raise_exception('ids have 9 characters') }}{% endif %}${call}{% endfor %}${close}{% endif %}{{ eos_token }}{% endif %}{% endfor %}`;

const harmony =
  "<|start|>system<|message|>Valid channels: analysis, commentary, final.<|end|>{% if tools %}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% endif %}" +
  "{% for m in messages %}{% if m.tool_calls %}{% if m.content and m.thinking %}{{ raise_exception('not both') }}{% endif %}" +
  "{% set f = m.tool_calls[0].function %}{% if m.content or m.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ m.content or m.thinking }}<|end|>{% endif %}" +
  "<|start|>assistant to=functions.{{ f.name }}<|channel|>commentary json<|message|>{{ f.arguments | tojson }}<|call|>" +
  "{% elif m.role == 'assistant' %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>" +
  "{% elif m.role == 'tool' %}<|start|>functions.x to=assistant<|channel|>commentary<|message|>{{ m.content | tojson }}<|end|>" +
  "{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}";

/** What is told of calls by a template that takes none in its history. */
const told = (text: string): string =>
  `{% if tools %}{{ tools | tojson }}\n${text}\n{% endif %}{% for m in messages %}{% if m.tool_calls %}{{ raise_exception('no calls') }}{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}`;

export interface TemplateCase {
  readonly title: string;
  readonly template: string;
  readonly family: string | undefined;
  readonly reasoning?: string;
  /** What the history is, where it is not what most templates want. */
  readonly history?: object;
}

const thinks = { reasoningField: "reasoning_content" };
const section = (call: string, open: string, close: string): string =>
  chatml(call, "")
    .replace("{% for c in", `{% if m.tool_calls %}${open}{% endif %}{% for c in`)
    .replace("{% endfor %}<|im_end|>", `{% endfor %}{% if m.tool_calls %}${close}{% endif %}<|im_end|>`);

export const templates: readonly TemplateCase[] = [
  { title: "Hermes", template: chatml(hermes, ""), family: "hermes", reasoning: "think", history: thinks },
  {
    title: "Qwen3-Coder",
    template: chatml(qwen3Coder, "<think>\n"),
    family: "qwen3_coder",
    reasoning: "think",
    history: thinks,
  },
  { title: "GLM-4.5", template: chatml(glm, ""), family: "glm45", reasoning: "think", history: thinks },
  {
    title: "Kimi K2",
    template: section(kimi, "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    family: "kimi_k2",
    reasoning: "think",
    history: { ...thinks, ids: "kimi" },
  },
  {
    title: "DeepSeek V3.2",
    template: section(dsml, "<｜DSML｜function_calls>\n", "</｜DSML｜function_calls>"),
    family: "deepseek_v32",
    reasoning: "think",
    history: thinks,
  },
  {
    title: "DeepSeek V3, whose template joins texts",
    template: deepseek(
      "{{ '<｜tool▁call▁begin｜>function<｜tool▁sep｜>' + c.function.name + '\n```json\n' + c.function.arguments + '\n```<｜tool▁call▁end｜>' }}",
    ),
    family: "deepseek_v3",
    reasoning: "think",
    history: { arguments: "text" },
  },
  {
    title: "DeepSeek V3.1",
    template: deepseek(
      "<｜tool▁call▁begin｜>{{ c.function.name }}<｜tool▁sep｜>{{ c.function.arguments | tojson }}<｜tool▁call▁end｜>",
    ),
    family: "deepseek_v31",
    reasoning: "think",
  },
  { title: "Llama 3", template: llama, family: "llama3_json", history: { isSingle: true } },
  {
    title: "Mistral before v11",
    template: mistral(
      '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}, "id": "{{ c.id }}"}{{ "" if loop.last else ", " }}',
      "[TOOL_CALLS][",
      "]",
    ),
    family: "mistral",
    history: { ids: "mistral" },
  },
  {
    title: "Mistral from v11 on",
    template: `[SYSTEM_PROMPT]Think in [THINK] and [/THINK].[/SYSTEM_PROMPT]${mistral("[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}", "", "")}`,
    family: "mistral",
    reasoning: "mistral",
    history: { ids: "mistral" },
  },
  {
    title: "gpt-oss",
    template: harmony,
    family: "openai",
    history: { isSingle: true, joinsThoughts: true, reasoningField: "thinking" },
  },
  {
    title: "Olmo 3",
    template: section(`${python}`, "<function_calls>", "\n</function_calls>"),
    family: "olmo3",
    reasoning: "think",
    history: thinks,
  },
  {
    title: "Python calls",
    template: chatml("", "").replace(
      "{% for c in m.tool_calls or [] %}{% set f = c.function %}\n{% endfor %}",
      `{% if m.tool_calls %}[{% for c in m.tool_calls %}{% set f = c.function %}${python}{{ '' if loop.last else ', ' }}{% endfor %}]{% endif %}`,
    ),
    family: "pythonic",
    reasoning: "think",
    // Behind text a list in brackets is no call.
    history: { ...thinks, contentApart: true },
  },
  {
    title: "Hermes, only told",
    template: told('<tool_call>\n{"name": <name>, "arguments": <args>}\n</tool_call>'),
    family: "hermes",
  },
  {
    title: "Python calls, only told",
    template: told("Answer with [func_name1(name1=value1, name2=value2), func_name2(name=value)]"),
    family: "pythonic",
  },
  {
    title: "neither calls nor thoughts",
    template: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
    family: undefined,
  },
];
