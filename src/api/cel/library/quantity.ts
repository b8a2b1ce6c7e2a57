// Kubernetes' quantities in CEL: quantity('1Gi').isGreaterThan(…), exact.

import {
  addQuantities,
  compareQuantities,
  parseQuantity,
  type Quantity,
  quantityOf,
  subtractQuantities,
  tryParseQuantity,
} from '../../quantity.ts'
import { declare, type Library, nameType } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { structType } from '../types.ts'
import { CelObject } from '../values.ts'

const quantityType = nameType('quantity', structType('kubernetes.Quantity'))
const nano = 1_000_000_000n

export class CelQuantity extends CelObject {
  readonly type = quantityType
  readonly quantity: Quantity
  constructor(quantity: Quantity) {
    super()
    this.quantity = quantity
  }
  override equals(other: CelObject): boolean {
    return other instanceof CelQuantity && this.quantity.nanos === other.quantity.nanos
  }
}

function parse(text: string): CelQuantity {
  try {
    return new CelQuantity(parseQuantity(text))
  } catch (error) {
    throw new CelError((error as Error).message)
  }
}

function whole({ quantity }: CelQuantity): bigint | undefined {
  const value = quantity.nanos / nano
  return quantity.nanos % nano === 0n && value === BigInt.asIntN(64, value) ? value : undefined
}

function asInteger(value: CelQuantity): bigint {
  const found = whole(value)
  if (found === undefined) throw new CelError('cannot convert value to integer')
  return found
}

const order = (a: CelQuantity, b: CelQuantity): number => compareQuantities(a.quantity, b.quantity)
const sign = ({ quantity }: CelQuantity): bigint => (quantity.nanos > 0n ? 1n : quantity.nanos < 0n ? -1n : 0n)
const plus = (a: CelQuantity, b: Quantity): CelQuantity => new CelQuantity(addQuantities(a.quantity, b))
const minus = (a: CelQuantity, b: Quantity): CelQuantity => new CelQuantity(subtractQuantities(a.quantity, b))

export const quantities: Library = [
  declare('quantity', 'string_to_quantity', '(string) quantity', parse),
  declare('isQuantity', 'is_quantity_string', '(string) bool', (text: string) => tryParseQuantity(text) !== undefined),
  // Upstream declares sign as a function although its documentation calls it as a method (1.36).
  declare('sign', 'quantity_sign', '(quantity) int', sign),
  declare('isGreaterThan', 'quantity_is_greater_than', 'quantity.(quantity) bool', (a, b) => order(a, b) > 0),
  declare('isLessThan', 'quantity_is_less_than', 'quantity.(quantity) bool', (a, b) => order(a, b) < 0),
  declare('compareTo', 'quantity_compare_to', 'quantity.(quantity) int', (a, b) => BigInt(order(a, b))),
  declare(
    'asApproximateFloat',
    'quantity_get_float',
    'quantity.() double',
    ({ quantity }: CelQuantity) => Number(quantity.nanos) / 1e9,
  ),
  declare('asInteger', 'quantity_get_int', 'quantity.() int', asInteger),
  declare('isInteger', 'quantity_is_integer', 'quantity.() bool', (value: CelQuantity) => whole(value) !== undefined),
  declare('add', 'quantity_add', 'quantity.(quantity) quantity', (a: CelQuantity, b: CelQuantity) =>
    plus(a, b.quantity),
  ),
  declare('add', 'quantity_add_int', 'quantity.(int) quantity', (a: CelQuantity, b: bigint) => plus(a, quantityOf(b))),
  declare('sub', 'quantity_sub', 'quantity.(quantity) quantity', (a: CelQuantity, b: CelQuantity) =>
    minus(a, b.quantity),
  ),
  declare('sub', 'quantity_sub_int', 'quantity.(int) quantity', (a: CelQuantity, b: bigint) => minus(a, quantityOf(b))),
]
