// What a client is told when it writes an object that nothing in Tandem acts on.

/** For `warnings` of a kind: `what` happens is what such an object is for, and does not come to be here. */
export const storedOnly = (kind: string, what: string) => (): string[] => [
  `${kind} is stored and served, but nothing in this Tandem acts on it: ${what}`,
]
