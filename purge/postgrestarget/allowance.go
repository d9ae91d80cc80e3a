package postgrestarget

// allowance is how many rows of a tenant a statement of the operator's own may still
// remove, as of the last count. One that is not known is counted.
type allowance struct {
	rows int64 // -1 when they are to be counted
	// hurried: there was no time to count in the transaction that removes.
	hurried bool
}
