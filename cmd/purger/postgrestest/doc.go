// Package postgrestest has the tests of the daemon with a real PostgreSQL as its
// source and its target: purger and PostgreSQL are killed at random moments, and
// SQL alone tells whether exactly what was due is gone.
package postgrestest
