// Which rules a Pod meets, and what comes first.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../../api/meta.ts'
import { demandsOn, labelErrors, rulesOf, type Subject, strangeLabels, strictest } from './demands.ts'

const policy = (name: string, rules: object[], more: object = {}): StoredObject => ({
  apiVersion: 'policy.tandem.dev/v1alpha1',
  kind: 'ClusterIsolationPolicy',
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { rules, ...more },
})

const subject = (more: Partial<Subject> = {}): Subject => ({
  namespace: 'shop',
  labels: { team: 'red' },
  images: ['nginx'],
  serviceAccount: 'web',
  user: { name: 'alice', groups: ['devs', 'system:authenticated'] },
  ...more,
})

const demanded = (match: object | undefined, more?: Partial<Subject>) =>
  demandsOn(subject(more), rulesOf([policy('p', [{ name: 'r', match, minimum: 'microvm' }])])).all.length > 0

test('what a rule is about', () => {
  const cases: [object | undefined, boolean, Partial<Subject>?][] = [
    [undefined, true],
    [{}, true],
    [{ images: ['nginx'] }, true],
    [{ images: ['docker.io/*'] }, true],
    [{ images: ['docker.io/library/nginx'] }, true],
    [{ images: ['docker.io/library/nginx:latest'] }, true],
    [{ images: ['docker.io/library/nginx:1'] }, false],
    [{ images: ['registry.example.com/*'] }, false],
    [{ images: ['*/nginx'] }, true, { images: ['localhost:5000/nginx@sha256:00'] }],
    [{ images: ['quay.io/*'] }, true, { images: ['nginx', 'quay.io/a/b:1'] }],
    // All are ours, or one is not.
    [{ exceptImages: ['docker.io/*'] }, false],
    [{ exceptImages: ['docker.io/*'] }, true, { images: ['nginx', 'quay.io/a'] }],
    [{ images: ['docker.io/*'], exceptImages: ['*/library/*'] }, false],
    [{ images: ['docker.io/*'], exceptImages: ['*/library/*'] }, true, { images: ['nginx', 'evil/nginx'] }],
    [{ exceptImages: ['docker.io/*'] }, true, { images: ['docker.io.evil.com/nginx'] }],
    [{ serviceAccounts: ['web'] }, true],
    [{ serviceAccounts: ['shop/*'] }, true],
    [{ serviceAccounts: ['other/web'] }, false],
    [{ users: ['alice'] }, true],
    [{ users: ['bob', 'a*e'] }, true],
    [{ users: ['bob'] }, false],
    [{ groups: ['devs'] }, true],
    [{ groups: ['ops'] }, false],
    [{ namespaceSelector: { matchLabels: { team: 'red' } } }, true],
    [{ namespaceSelector: { matchLabels: { team: 'blue' } } }, false],
    [{ namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } }, true],
    [{ namespaceSelector: {} }, true],
    // All that is set must fit.
    [{ images: ['nginx'], users: ['bob'] }, false],
    [{ images: ['nginx'], users: ['alice'], groups: ['devs'], serviceAccounts: ['shop/web'] }, true],
  ]
  for (const [match, expected, more] of cases)
    assert.equal(demanded(match, more), expected, JSON.stringify([match, more]))
})

test('the strictest demand counts, whatever the order; the first choice does, by priority, name and place', () => {
  const rule = (name: string, minimum?: string, runtimeClassName?: string) => ({ name, minimum, runtimeClassName })
  const rules = rulesOf([
    policy('b', [rule('b1', 'sandboxed', 'class-b')]),
    policy('a', [rule('a1', 'container'), rule('a2', undefined, 'class-a'), rule('a3', undefined, 'class-a3')]),
    policy('z', [rule('z1', 'microvm', 'class-z')], { priority: 10 }),
    policy('warns', [rule('w1', 'vm', 'class-w')], { priority: 20, mode: 'Warn' }),
  ])
  assert.deepEqual(
    rules.map(({ by }) => by.split('"')[1]),
    ['w1', 'z1', 'a1', 'a2', 'a3', 'b1'],
  )
  const { all, choice } = demandsOn(subject(), rules)
  assert.equal(choice?.runtimeClassName, 'class-z')
  const enforced = strictest(all.filter(({ mode }) => mode === 'enforce'))
  assert.deepEqual([enforced?.minimum, enforced?.by], ['microvm', 'rule "z1" of ClusterIsolationPolicy "z"'])
  assert.equal(strictest(all.filter(({ mode }) => mode === 'warn'))?.minimum, 'vm')
  assert.equal(demandsOn(subject(), rules.slice(2)).choice?.runtimeClassName, 'class-a')
})

test('the labels of a namespace', () => {
  const label = (mode: string, value: string) => ({ [`isolation.tandem.dev/${mode}`]: value })
  const { all, preset } = demandsOn(
    subject({ labels: { ...label('enforce', 'sandboxed'), ...label('default', 'vm') } }),
    [],
  )
  assert.deepEqual(
    all.map(({ mode, minimum, by }) => [mode, minimum, by]),
    [['enforce', 'sandboxed', 'label isolation.tandem.dev/enforce of namespace "shop"']],
  )
  assert.equal(preset, 'vm')
  // What cannot be understood is no way around it.
  assert.equal(demandsOn(subject({ labels: label('enforce', 'loose') }), []).all[0]?.minimum, 'vm')
  assert.deepEqual(
    labelErrors({ ...label('warn', 'x'), ...label('enforce', 'vm'), ...label('default', '') }).map(
      ({ field }) => field,
    ),
    ['metadata.labels[isolation.tandem.dev/warn]', 'metadata.labels[isolation.tandem.dev/default]'],
  )
  assert.deepEqual(strangeLabels({ ...label('enfroce', 'vm'), ...label('audit', 'vm'), other: 'x' }), [
    'isolation.tandem.dev/enfroce',
  ])
})
