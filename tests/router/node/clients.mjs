// The ways to call both providers with their own clients for Node: what came is written to stdout as JSON.
//
// Usage: node clients.mjs '{"openai": URL, "anthropic": URL, "key": KEY, "gpt": MODEL, "claude": MODEL, "groups": [...]}'

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const at = JSON.parse(process.argv[2]);
const openai = new OpenAI({ baseURL: at.openai, apiKey: at.key, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: at.anthropic, apiKey: at.key, maxRetries: 0 });

const hello = [{ role: "user", content: "Hello" }];
const two = [
  { role: "user", content: 'call tool get_weather {"city":"Rome"} call tool get_weather {"city":"Oslo"}' },
];
const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const chatTools = [{ type: "function", function: { name: "get_weather", parameters: schema } }];
const messageTools = [{ name: "get_weather", input_schema: schema }];

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const chat = (model, more = {}) =>
  openai.chat.completions.create({ model, messages: hello, max_tokens: 90, ...more });
const message = (model, more = {}) =>
  anthropic.messages.create({ model, messages: hello, max_tokens: 90, ...more });

const either = {
  chat: () => chat(at.gpt),
  chatStream: async () => all(await chat(at.gpt, { stream: true })),
  chatStreamHelper: () =>
    openai.chat.completions
      .stream({ model: at.gpt, messages: hello, max_tokens: 90 })
      .finalChatCompletion(),
  chatTools: () => chat(at.gpt, { messages: two, tools: chatTools }),
  chatToolsStream: async () => all(await chat(at.gpt, { messages: two, tools: chatTools, stream: true })),
  chatToolLoop: async () => {
    const asked = (await chat(at.gpt, { messages: two, tools: chatTools })).choices[0].message;
    const results = asked.tool_calls.map((call) => ({
      role: "tool",
      tool_call_id: call.id,
      content: `sunny at ${call.function.arguments}`,
    }));
    return chat(at.gpt, { messages: [...two, asked, ...results], tools: chatTools });
  },
  chatStructured: async () => {
    const format = { type: "json_schema", json_schema: { name: "place", strict: true, schema } };
    return openai.chat.completions.parse({ model: at.gpt, messages: hello, response_format: format });
  },
  message: () => message(at.claude),
  messageStream: async () => all(await message(at.claude, { stream: true })),
  messageStreamHelper: () =>
    anthropic.messages.stream({ model: at.claude, messages: hello, max_tokens: 90 }).finalMessage(),
  messageTools: () => message(at.claude, { messages: two, tools: messageTools }),
  messageToolsStream: () =>
    anthropic.messages
      .stream({ model: at.claude, messages: two, tools: messageTools, max_tokens: 90 })
      .finalMessage(),
  messageToolLoop: async () => {
    const asked = await message(at.claude, { messages: two, tools: messageTools });
    const results = asked.content.map((use) => ({
      type: "tool_result",
      tool_use_id: use.id,
      content: `sunny in ${use.input.city}`,
    }));
    const messages = [...two, { role: "assistant", content: asked.content }, { role: "user", content: results }];
    return message(at.claude, { messages, tools: messageTools });
  },
};

const native = {
  responses: () => openai.responses.create({ model: at.gpt, input: "Hello" }),
  responsesStream: async () => all(await openai.responses.create({ model: at.gpt, input: "Hello", stream: true })),
  responsesTools: () =>
    openai.responses.create({
      model: at.gpt,
      input: two,
      tools: [{ type: "function", name: "get_weather", strict: true, parameters: schema }],
    }),
  embeddings: () =>
    openai.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"], dimensions: 8 }),
  embeddingsFloat: () =>
    openai.embeddings.create({
      model: "text-embedding-3-small",
      input: "one",
      dimensions: 8,
      encoding_format: "float",
    }),
  completions: () => openai.completions.create({ model: "gpt-3.5-turbo-instruct", prompt: "Once", max_tokens: 9 }),
  moderations: () => openai.moderations.create({ input: ["harmless", "[flag]"] }),
  model: () => openai.models.retrieve(at.gpt),
  countTokens: () => anthropic.messages.countTokens({ model: at.claude, messages: hello }),
  thinking: () => message(at.claude, { max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } }),
  claudeModel: () => anthropic.models.retrieve(at.claude),
  headers: async () => {
    const { response } = await chat(at.gpt).withResponse();
    return [response.headers.get("x-ratelimit-limit-requests"), response.headers.get("content-type")];
  },
  badParameter: () => chat(at.gpt, { max_tokens: 0 }),
  unknownModel: () => chat("gpt-4o-none"),
  unknownModelStream: async () => all(await chat("gpt-4o-none", { stream: true })),
  badMessage: () => message(at.claude, { max_tokens: 0 }),
  unknownClaude: () => message("claude-none"),
};

const refused = {
  openaiToken: () => openai.withOptions({ apiKey: "sk-wrong" }).models.list(),
  openaiChatToken: () =>
    openai.withOptions({ apiKey: "sk-wrong" }).chat.completions.create({ model: at.gpt, messages: hello }),
  anthropicToken: () =>
    anthropic
      .withOptions({ apiKey: "sk-wrong" })
      .messages.create({ model: at.claude, messages: hello, max_tokens: 9 }),
};

const patient = {
  chat: () =>
    openai.withOptions({ maxRetries: 2 }).chat.completions.create({ model: at.gpt, messages: hello }),
  message: () =>
    anthropic
      .withOptions({ maxRetries: 2 })
      .messages.create({ model: at.claude, messages: hello, max_tokens: 90 }),
};

const groups = { either, native, refused, patient };
const told = {};
for (const [name, call] of at.groups.flatMap((group) => Object.entries(groups[group]))) {
  try {
    told[name] = await call();
  } catch (error) {
    const { status, code, param, type, error: body } = error;
    const other = status ? undefined : String(error.stack);
    told[name] = { raised: error.constructor.name, status, code, param, type, body, other };
  }
}
process.stdout.write(JSON.stringify(told));
