// Talks to a FHIR server with fhir-kit-client. Started with the base of the server and the folder
// in which the client is installed. Each step prints its name; a failure ends with its stack.

import assert from 'node:assert/strict';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [base, folder] = process.argv.slice(2);
const entry = path.join(folder, 'node_modules/fhir-kit-client/dist/index.js');
const { Client } = await import(pathToFileURL(entry));
const client = new Client({ baseUrl: base });
const SYSTEM = 'http://example.org/fhir-kit';

const patient = (number, family) => ({
  resourceType: 'Patient',
  identifier: [{ system: SYSTEM, value: String(number) }],
  name: [{ family, given: ['Ada'] }],
});

const fails = async (status, promise) => {
  const error = await promise.then(() => null, (reason) => reason);
  assert.ok(error, `expected ${status}`);
  assert.equal(error.response?.status, status);
  assert.equal(error.response?.data?.resourceType, 'OperationOutcome');
};

const steps = {
  async capabilities() {
    const statement = await client.capabilityStatement();
    assert.equal(statement.fhirVersion, '4.0.1');
  },

  async life() {
    const created = await client.create({ resourceType: 'Patient', body: patient(1, 'Virtanen') });
    const { id } = created;
    const read = await client.read({ resourceType: 'Patient', id });
    assert.equal(read.name[0].family, 'Virtanen');
    const changed = { ...read, active: true };
    const updated = await client.update({ resourceType: 'Patient', id, body: changed });
    assert.equal(updated.meta.versionId, '2');
    const patched = await client.patch({
      resourceType: 'Patient',
      id,
      jsonPatch: [{ op: 'replace', path: '/active', value: false }],
    });
    assert.equal(patched.active, false);
    const first = await client.vread({ resourceType: 'Patient', id, version: '1' });
    assert.equal(first.active, undefined);
    const history = await client.history({ resourceType: 'Patient', id });
    assert.equal(history.entry.length, 3);
    await client.delete({ resourceType: 'Patient', id });
    await fails(410, client.read({ resourceType: 'Patient', id }));
    await fails(404, client.read({ resourceType: 'Patient', id: 'nobody' }));
  },

  async searches() {
    for (let number = 0; number < 9; number += 1) {
      await client.create({ resourceType: 'Patient', body: patient(100 + number, 'Seitenweise') });
    }
    const searchParams = { family: 'Seitenweise', _count: 4, _sort: '-_lastUpdated' };
    let page = await client.search({ resourceType: 'Patient', searchParams });
    const seen = [];
    while (page) {
      seen.push(...page.entry.map((entry) => entry.resource.id));
      page = await client.nextPage({ bundle: page });
    }
    assert.equal(new Set(seen).size, 9);
    assert.equal(seen.length, 9);
    const options = { postSearch: true };
    const posted = await client.resourceSearch({
      resourceType: 'Patient',
      searchParams: { identifier: `${SYSTEM}|104` },
      options,
    });
    assert.equal(posted.entry.length, 1);
    await fails(400, client.search({ resourceType: 'Patient', searchParams: { famly: 'x' } }));
  },

  async conditional() {
    const body = patient('only-once', 'Kerr');
    const headers = { 'If-None-Exist': `identifier=${SYSTEM}|only-once` };
    const once = await client.create({ resourceType: 'Patient', body, options: { headers } });
    await client.create({ resourceType: 'Patient', body, options: { headers } });
    const searchParams = { identifier: `${SYSTEM}|only-once` };
    const all = await client.search({ resourceType: 'Patient', searchParams });
    assert.equal(all.entry.length, 1);
    assert.equal(all.entry[0].resource.id, once.id);
  },

  async bundles() {
    const entry = (number) => ({
      fullUrl: `urn:uuid:0a1b2c3d-0000-4000-8000-00000000000${number}`,
      resource: patient(`bundle-${number}`, 'Okafor'),
      request: { method: 'POST', url: 'Patient' },
    });
    for (const type of ['transaction', 'batch']) {
      const body = { resourceType: 'Bundle', type, entry: [entry(1), entry(2)] };
      const answer = await client[type]({ body });
      assert.equal(answer.type, `${type}-response`);
      assert.deepEqual(answer.entry.map((one) => one.response.status.slice(0, 3)), ['201', '201']);
    }
  },

  async operations() {
    const answer = await client.operation({
      resourceType: 'Patient',
      name: 'validate',
      method: 'POST',
      input: patient(5, 'Valid'),
    });
    assert.equal(answer.resourceType, 'OperationOutcome');
  },
};

for (const [name, step] of Object.entries(steps)) {
  console.log(name);
  await step();
}
console.log('done');
