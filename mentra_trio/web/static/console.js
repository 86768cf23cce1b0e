"use strict";

// Asks the admin routes every few seconds and shows what they say. Everything that comes from
// the server is put into the page as text, never as markup.

const EVERY_MS = 2000;
const PAGE = 200;
const base = new URL("../api/admin/", document.baseURI);
const find = (id) => document.getElementById(id);
let token = "";
let round = 0;

function say(text) {
  const status = find("status");
  if (status.textContent !== text) status.textContent = text;
}

async function ask(path) {
  const answer = await fetch(new URL(path, base), {
    headers: { Authorization: `Bearer ${token}` },
    cache: "no-store",
  });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.message), { status: answer.status });
  return body;
}

function row(cells) {
  const line = document.createElement("tr");
  for (const text of cells) {
    const cell = document.createElement("td");
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}

function time(text) {
  return new Date(text).toLocaleTimeString();
}

function userRows(user) {
  const who = [user.userId, user.connected ? "connected" : user.state];
  if (user.apps.length === 0) return [row([...who, "–", "", time(user.since), "", ""])];
  return user.apps.map((app, n) => row([
    ...(n === 0 ? who : ["", ""]),
    app.packageName, app.state, time(app.since), app.cause, app.subscriptions.join(", "),
  ]));
}

function show(users, apps) {
  find("users").replaceChildren(...users.users.flatMap(userRows));
  find("more").hidden = users.next === null;
  find("apps").replaceChildren(...apps.apps.map((app) => row([
    app.packageName, app.name, app.type, app.url, app.permissions.join(", "),
  ])));
  find("content").hidden = false;
  find("login").hidden = true;
  say(`${users.users.length} user(s), ${apps.apps.length} app(s)`);
}

async function refresh(mine) {
  try {
    const [users, apps] = await Promise.all([ask(`users?limit=${PAGE}`), ask("apps")]);
    if (mine === round) show(users, apps);
  } catch (error) {
    if (mine !== round) return;
    if (error.status === 401) {
      find("login").hidden = false;
      find("content").hidden = true;
      say("That is not the admin token.");
      find("token").focus();
      return;
    }
    say(`No answer from the server: ${error.message}`);
  }
  setTimeout(() => { if (mine === round) refresh(mine); }, EVERY_MS);
}

find("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  find("token").value = "";
  round += 1;
  refresh(round);
});
