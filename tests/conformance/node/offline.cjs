// Preloaded: answers every DNS look-up for another machine with "not found" at once, because
// the SDK asks a fixed host for its newest version at start and would wait for the answer.
"use strict";
const dns = require("node:dns");
const lookup = dns.lookup;
const isLocal = (host) => /^(localhost|127\.|::1$|\[::1\]$)/.test(host || "");
dns.lookup = function (host, ...rest) {
  if (isLocal(host)) return lookup.call(this, host, ...rest);
  const callback = rest[rest.length - 1];
  const error = Object.assign(new Error(`offline: ${host}`), { code: "ENOTFOUND", hostname: host });
  process.nextTick(callback, error);
};
