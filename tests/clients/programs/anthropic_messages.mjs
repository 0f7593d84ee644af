// Every feature of Messages as the Anthropic SDK has it, a line of JSON each.

import { readFileSync } from 'node:fs';
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';

const TASKS = JSON.parse(readFileSync('tasks.json', 'utf8'));
const baseURL = process.env.BASE_URL;
const TOOL = {
  name: TASKS.tool.name,
  description: TASKS.tool.description,
  input_schema: TASKS.tool.schema,
};
const IMAGE = {
  type: 'image',
  source: { type: 'base64', media_type: 'image/png', data: TASKS.image },
};
const CITY = zodOutputFormat(
  z.object({ kind: z.literal('city'), name: z.string(), population: z.int() }),
);

const client = new Anthropic({ baseURL, apiKey: process.env.TOKEN, maxRetries: 0 });

function user(task, ...parts) {
  const text = TASKS.prompts[task];
  const content = parts.length ? [{ type: 'text', text }, ...parts] : text;
  return { role: 'user', content };
}

const asking = (messages, options) => ({
  model: 'chat',
  max_tokens: 4096,
  messages,
  ...options,
});

const create = (messages, options) =>
  client.messages.create(asking(messages, options));

const stream = (messages, options) =>
  client.messages.stream(asking(messages, options));

const usage = ({ usage }) => ({
  fresh: usage.input_tokens,
  cached: usage.cache_read_input_tokens,
  output: usage.output_tokens,
});

const ofType = ({ content }, type) => content.filter((block) => block.type === type);

const spoken = (answer) => ({
  text: ofType(answer, 'text')
    .map((block) => block.text)
    .join(''),
  stop: answer.stop_reason,
});

const calls = (answer) =>
  ofType(answer, 'tool_use').map((call) => [call.name, call.input]);

const said = ({ content }) => ({ role: 'assistant', content });

// An answer as it goes back, and the sums that it called for.
function answered(answer, seen) {
  const results = ofType(answer, 'tool_use').map((call) => ({
    type: 'tool_result',
    tool_use_id: call.id,
    content: seen ?? String(call.input.a + call.input.b),
  }));
  return [said(answer), { role: 'user', content: results }];
}

const thought = (answer) =>
  ofType(answer, 'thinking')
    .map((block) => block.thinking)
    .join('');

async function drain(events) {
  for await (const event of await events) void event;
}

async function raised(ask) {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    const after = error.headers?.get('retry-after') ?? null;
    const name = error.constructor.name;
    const { type, message } = error.error.error;
    return [name, error.status ?? null, type, message, after];
  }
  return null;
}

const FEATURES = {
  async text() {
    const answer = await create([user('text')], { system: 'Be brief.' });
    return { ...spoken(answer), usage: usage(answer), model: answer.model };
  },

  async streamed_text() {
    const events = [];
    for await (const event of await create([user('text')], { stream: true }))
      events.push(event);
    const ending = events.find(({ type }) => type === 'message_delta');
    const deltas = events.filter(({ type }) => type === 'content_block_delta');
    return {
      text: deltas.map((event) => event.delta.text).join(''),
      stop: ending.delta.stop_reason,
      usage: usage(ending),
      model: events[0].message.model,
    };
  },

  async capped() {
    return spoken(await create([user('capped')], { max_tokens: 20 }));
  },

  async tool() {
    const options = { tools: [TOOL] };
    const first = await create([user('tool')], options);
    const second = await create([user('tool'), ...answered(first)], options);
    return { first: spoken(first), calls: calls(first), second: spoken(second) };
  },

  async streamed_tool() {
    const options = { tools: [TOOL] };
    const first = await stream([user('tool')], options).finalMessage();
    const messages = [user('tool'), ...answered(first)];
    const second = await stream(messages, options).finalMessage();
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

  async tool_image() {
    const options = { tools: [TOOL] };
    const seen = [{ type: 'text', text: 'Here it is.' }, IMAGE];
    const first = await create([user('tool-image')], options);
    const messages = [user('tool-image'), ...answered(first, seen)];
    return spoken(await create(messages, options));
  },

  async structured() {
    const options = { output_config: { format: CITY } };
    const asked = asking([user('structured')], options);
    return (await client.messages.parse(asked)).parsed_output;
  },

  async streamed_structured() {
    const options = { output_config: { format: CITY } };
    const events = stream([user('structured')], options);
    return (await events.finalMessage()).parsed_output;
  },

  async reasoning() {
    const options = {
      tools: [TOOL],
      thinking: { type: 'enabled', budget_tokens: 2048 },
    };
    const messages = [user('reasoning')];
    const first = await create(messages, options);
    messages.push(...answered(first));
    const second = await stream(messages, options).finalMessage();
    messages.push(said(second), user('after'));
    const third = await create(messages, options);
    return {
      thoughts: [thought(first), thought(second)],
      second: spoken(second),
      third: spoken(third),
    };
  },

  async count() {
    const asked = { model: 'chat', messages: [user('count')] };
    const counted = await client.messages.countTokens(asked);
    return { tokens: counted.input_tokens, estimate: counted.estimate ?? false };
  },

  async models() {
    return (await Array.fromAsync(client.models.list())).map((model) => model.id);
  },

  async errors() {
    const stranger = new Anthropic({ baseURL, apiKey: 'rtr_no', maxRetries: 0 });
    const asked = {
      token: () => stranger.messages.create(asking([user('after')])),
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
