// SPDX-License-Identifier: Apache-2.0
// check.js LOG BUNDLE: is every Bundle in a server's log right? And is each of these changes to BUNDLE refused, or would the rules let
// anything by? It has a heart rate, a saturation, a temperature, a respiratory rate and a blood pressure. Exits 1 if not.
'use strict';
const fs = require('fs');
const { wrongsOfBundle } = require('./rules.js');

const original = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'));
const by = (bundle, code) => bundle.entry.find((e) => e.resource.code.coding.some((c) => c.code === code)).resource;
const one = (code, change) => (bundle) => change(by(bundle, code));
const changes = {};
for (const [name, code] of Object.entries({ rate: '8867-4', saturation: '2708-6', temperature: '8310-5', respiration: '9279-1', pressure: '85354-9' })) {
    changes[`${name}: no category`] = one(code, (o) => delete o.category);
    changes[`${name}: another category`] = one(code, (o) => { o.category[0].coding[0].code = 'laboratory'; });
    changes[`${name}: no subject`] = one(code, (o) => delete o.subject);
    changes[`${name}: no time`] = one(code, (o) => delete o.effectiveDateTime);
    changes[`${name}: a month 13`] = one(code, (o) => { o.effectiveDateTime = '2026-13-01T00:00:00Z'; });
    changes[`${name}: no status`] = one(code, (o) => delete o.status);
    changes[`${name}: a status of its own`] = one(code, (o) => { o.status = 'unverified'; });
    changes[`${name}: no code`] = one(code, (o) => delete o.code);
    changes[`${name}: without FHIR's LOINC`] = one(code, (o) => { o.code.coding = o.code.coding.filter((c) => c.code !== code); });
    changes[`${name}: without MDC`] = one(code, (o) => { o.code.coding = o.code.coding.filter((c) => !c.system.startsWith('urn:')); });
    changes[`${name}: no identifier`] = one(code, (o) => delete o.identifier);
    changes[`${name}: an element of nobody's`] = one(code, (o) => { o.confidence = 1; });
    changes[`${name}: a profile that is none`] = one(code, (o) => { o.meta.profile = ['http://hl7.org/fhir/StructureDefinition/pulse']; });
    changes[`${name}: of another profile`] = one(code, (o) => {
        o.meta.profile = [`http://hl7.org/fhir/StructureDefinition/${code === '8310-5' ? 'oxygensat' : 'bodytemp'}`];
    });
    changes[`${name}: not conditional`] = (bundle) => delete bundle.entry.find((e) => e.resource === by(bundle, code)).request.ifNoneExist;
    if (code === '85354-9') continue;
    changes[`${name}: no value`] = one(code, (o) => delete o.valueQuantity);
    changes[`${name}: a value in words`] = one(code, (o) => { o.valueQuantity.value = '72'; });
    changes[`${name}: a unit that is not UCUM's`] = one(code, (o) => { o.valueQuantity.code = 'bpm'; });
    changes[`${name}: another system of units`] = one(code, (o) => { o.valueQuantity.system = 'urn:iso:std:iso:11073:10101'; });
    changes[`${name}: no unit`] = one(code, (o) => { delete o.valueQuantity.code; });
}
const pressure = (change) => one('85354-9', change);
changes['pressure: no systolic'] = pressure((o) => o.component.shift());
changes['pressure: no diastolic'] = pressure((o) => o.component.splice(1, 1));
changes['pressure: no parts'] = pressure((o) => delete o.component);
changes['pressure: systolic twice'] = pressure((o) => { o.component[1] = o.component[0]; });
changes['pressure: a part without value'] = pressure((o) => delete o.component[0].valueQuantity);
changes['pressure: in kPa'] = pressure((o) => { o.component[1].valueQuantity.code = 'kPa'; });
changes['pressure: mean in kPa'] = pressure((o) => { o.component[2].valueQuantity.code = 'kPa'; });
changes['pressure: a value of its own'] = pressure((o) => { o.valueQuantity = o.component[0].valueQuantity; });
changes['no transaction'] = (bundle) => { bundle.type = 'batch'; };
changes['no type'] = (bundle) => delete bundle.type;
changes['one twice'] = (bundle) => bundle.entry.push(structuredClone(bundle.entry[0]));
changes['no request'] = (bundle) => delete bundle.entry[0].request;
changes['another\'s name in the request'] = (bundle) => { bundle.entry[0].request.ifNoneExist = bundle.entry[1].request.ifNoneExist; };

let bad = 0, checked = 0;
const seen = new Set();
for (const line of fs.readFileSync(process.argv[2], 'utf8').trim().split('\n')) {
    const { text } = JSON.parse(line);
    const { entry: [{ request }], ...rest } = JSON.parse(text);
    // Of many alike a few are enough: the same number of entries, codes and status, the same kind of request.
    const shape = JSON.stringify([request.method, rest.type, text.match(/"(code|status)":"[^"]*"/g), /observation-replaces/.test(text)]);
    if (seen.has(shape)) continue;
    seen.add(shape);
    checked++;
    const wrong = wrongsOfBundle(JSON.parse(text));
    if (wrong.length) { bad++; console.log(`wrong: ${wrong.join('\n  ')}\n  ${text}`); }
}
console.log(`${checked} kinds of Bundles judged, ${bad} wrong`);
const missed = Object.keys(changes).filter((name) => {
    const bundle = structuredClone(original);
    changes[name](bundle);
    return wrongsOfBundle(bundle).length === 0;
});
console.log(`${Object.keys(changes).length - missed.length} of ${Object.keys(changes).length} mutations refused`);
for (const name of missed) console.log(`not refused: ${name}`);
process.exit(missed.length || bad || !checked ? 1 : 0);
