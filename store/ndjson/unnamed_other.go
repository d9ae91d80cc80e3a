//go:build !linux

package ndjson

// unnamed is not known here: opening a directory for writing fails.
const unnamed = 0
