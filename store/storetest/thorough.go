//go:build long

package storetest

// thorough says whether the cases that take long are run.
const thorough = true
