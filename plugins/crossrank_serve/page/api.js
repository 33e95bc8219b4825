// What the page asks the server.

let token = "";

export function setToken(value) {
  token = value.trim();
}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Refused(response.status, said.message || response.statusText);
  }
  return response;
}

export async function about() {
  return (await ask("/v1/gallery")).json();
}

export async function search(body) {
  const options = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  return (await ask("/v1/search", options)).json();
}

const pictures = new Map();

// Pictures are fetched here and not by <img>, which cannot send a token.
export function picture(path) {
  if (!pictures.has(path)) {
    const made = ask(path).then((r) => r.blob()).then((blob) => URL.createObjectURL(blob));
    made.catch(() => pictures.delete(path));
    pictures.set(path, made);
  }
  return pictures.get(path);
}

export function asDataUri(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("the picture cannot be read"));
    reader.readAsDataURL(file);
  });
}
