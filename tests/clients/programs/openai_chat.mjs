// Every feature of Chat as the OpenAI SDK has it, a line of JSON each.

import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const TASKS = JSON.parse(readFileSync('tasks.json', 'utf8'));
const baseURL = `${process.env.BASE_URL}/v1`;
const TOOL = {
  type: 'function',
  function: {
    name: TASKS.tool.name,
    description: TASKS.tool.description,
    parameters: TASKS.tool.schema,
  },
};
const IMAGE = {
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${TASKS.image}` },
};
const CITY = zodResponseFormat(
  z.object({ kind: z.literal('city'), name: z.string(), population: z.int() }),
  'city',
);

const client = new OpenAI({ baseURL, apiKey: process.env.TOKEN, maxRetries: 0 });

function user(task, ...parts) {
  const text = TASKS.prompts[task];
  const content = parts.length ? [{ type: 'text', text }, ...parts] : text;
  return { role: 'user', content };
}

const create = (messages, options = {}) =>
  client.chat.completions.create({ model: 'chat', messages, ...options });

const stream = (messages, options = {}) =>
  client.chat.completions.stream({ model: 'chat', messages, ...options });

function usage({ usage }) {
  const cached = usage.prompt_tokens_details.cached_tokens;
  const fresh = usage.prompt_tokens - cached;
  return { fresh, cached, output: usage.completion_tokens };
}

const spoken = ({ choices: [{ message, finish_reason }] }) => ({
  text: message.content,
  stop: finish_reason,
});

const calls = ({ choices: [{ message }] }) =>
  message.tool_calls.map((call) => [
    call.function.name,
    JSON.parse(call.function.arguments),
  ]);

// An answer as it goes back, and the sums that it called for.
function answered({ choices: [{ message }] }) {
  const results = (message.tool_calls ?? []).map((call) => {
    const { a, b } = JSON.parse(call.function.arguments);
    return { role: 'tool', tool_call_id: call.id, content: String(a + b) };
  });
  return [message, ...results];
}

const thought = ({ choices: [{ message }] }) => message.reasoning_content ?? null;

async function drain(events) {
  for await (const event of await events) void event;
}

async function raised(ask) {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const after = error.headers?.get('retry-after') ?? null;
    const name = error.constructor.name;
    const { code, message } = error.error;
    return [name, error.status ?? null, code, message, after];
  }
  return null;
}

const FEATURES = {
  async text() {
    const system = { role: 'system', content: 'Be brief.' };
    const answer = await create([system, user('text')]);
    return { ...spoken(answer), usage: usage(answer), model: answer.model };
  },

  async streamed_text() {
    const chunks = [];
    const options = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await create([user('text')], options)) chunks.push(chunk);
    const choices = chunks.flatMap((chunk) => chunk.choices);
    return {
      text: choices.map((choice) => choice.delta.content ?? '').join(''),
      stop: choices.at(-1).finish_reason,
      usage: usage(chunks.at(-1)),
      model: chunks[0].model,
    };
  },

  async capped() {
    return spoken(await create([user('capped')], { max_completion_tokens: 20 }));
  },

  async tool() {
    const options = { tools: [TOOL] };
    const first = await create([user('tool')], options);
    const second = await create([user('tool'), ...answered(first)], options);
    return { first: spoken(first), calls: calls(first), second: spoken(second) };
  },

  async streamed_tool() {
    const options = { tools: [TOOL] };
    const messages = [user('tool')];
    const first = await stream(messages, options).finalChatCompletion();
    messages.push(...answered(first));
    const second = await stream(messages, options).finalChatCompletion();
    return { first: spoken(first), calls: calls(first), second: spoken(second) };
  },

  async parallel() {
    const options = { tools: [TOOL] };
    const first = await create([user('parallel')], options);
    const second = await create([user('parallel'), ...answered(first)], options);
    return { calls: calls(first), second: spoken(second) };
  },

  async image() {
    return spoken(await create([user('image', IMAGE)]));
  },

  async structured() {
    const answer = await client.chat.completions.parse({
      model: 'chat',
      messages: [user('structured')],
      response_format: CITY,
    });
    return answer.choices[0].message.parsed;
  },

  async streamed_structured() {
    const events = stream([user('structured')], { response_format: CITY });
    return (await events.finalChatCompletion()).choices[0].message.parsed;
  },

  async reasoning() {
    const options = { tools: [TOOL], reasoning_effort: 'medium' };
    const messages = [user('reasoning')];
    const first = await create(messages, options);
    messages.push(...answered(first));
    const second = await create(messages, options);
    messages.push(...answered(second), user('after'));
    const third = await create(messages, options);
    return {
      thoughts: [thought(first), thought(second)],
      tokens: first.usage.completion_tokens_details.reasoning_tokens > 0,
      second: spoken(second),
      third: spoken(third),
    };
  },

  async models() {
    return (await Array.fromAsync(client.models.list())).map((model) => model.id);
  },

  async errors() {
    const stranger = new OpenAI({ baseURL, apiKey: 'rtr_no', maxRetries: 0 });
    const request = { model: 'chat', messages: [user('after')] };
    const asked = {
      token: () => stranger.chat.completions.create(request),
      model: () => create([user('after')], { model: 'other' }),
      missing: () => client.models.retrieve('missing'),
      rejected: () => create([user('rejected')]),
      limited: () => create([user('limited')]),
      failing: () => drain(create([user('failing')], { stream: true })),
      cut: () => drain(create([user('cut')], { stream: true })),
    };
    const found = {};
    for (const [name, ask] of Object.entries(asked)) found[name] = await raised(ask);
    return found;
  },
};

for (const [name, feature] of Object.entries(FEATURES)) {
  const value = await feature().catch((error) => ({ failed: error.stack }));
  console.log(JSON.stringify([name, value]));
}
