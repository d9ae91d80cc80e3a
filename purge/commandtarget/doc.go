// Package commandtarget is a [purge.Target] that runs a program for each call:
// the way out for systems that no other target speaks to.
//
// # Protocol, version 1
//
// The program gets one JSON object and a line feed on its standard input, and
// then its end:
//
//	{"version":1,"operation":"count","target":"files","tenantId":"acme","kind":"user"}
//	{"version":1,"operation":"purge","target":"files","tenantId":"acme","kind":"user","limit":5000,"resumed":false}
//	{"version":1,"operation":"check","target":"files"}
//
// Count counts what the tenant itself has of the kind now, without its
// sub-tenants. Purge removes up to limit of it for good; what is gone already is
// no error, and resumed says that the same request may have been made before
// without its answer being seen. Check changes nothing and finds out whether the
// system can be reached.
//
// The program answers with one JSON object on its standard output, and nothing
// else there:
//
//	{"version":1,"count":12}
//	{"version":1,"deleted":5000,"more":true}
//	{"version":1}
//
// more says that there may be more; inexact, true beside deleted, that more than
// that may be gone. Decoding is strict: a member that is missing, unknown, there
// twice, or of another type is an error, and so is anything behind the object.
// Names are compared byte by byte.
//
// The exit code says how it went:
//
//	0      done; the answer is required
//	75     try again later (EX_TEMPFAIL)
//	77     forbidden, and a person has to mend it (EX_NOPERM)
//	other  failed; what was done is not known
//
// With 75 and 77 nothing was removed, unless the answer says so. With any code
// but 0 the answer may be left out, or be
//
//	{"version":1,"deleted":3,"error":"the bucket is locked","retryAfterSeconds":30}
//
// where each member but version is optional. What the program writes to its
// standard error goes to the log, line by line.
//
// # Processes
//
// No shell is involved: the program's path is absolute, its arguments are those
// of the configuration, and an id is never among them. Its environment has the
// configured entries and nothing else, and it has no file or connection of the
// daemon. It is the
// leader of a process group of its own. When the time is up, the context ends or
// the target is closed, the group gets SIGTERM, and SIGKILL after
// [Config.KillAfter]; a group that outlives its leader gets SIGKILL at once. A
// process that leaves the group by setsid is out of reach: let it not. When the
// daemon is killed, the kernel kills the program itself; what that has started ends
// with the unit of the daemon (KillMode of systemd), or goes on.
//
// [Config.User] needs a daemon that runs as root. [Config.Limits] are set by
// prlimit of util-linux before the program begins.
//
// # Configuration
//
//	name: files                             # required
//	kinds: [user]                           # required
//	command: /usr/local/lib/purger/files    # required, absolute
//	args: [--region, eu-1]                  # none
//	env: {FILES_TOKEN: "${credential:files}"} # empty
//	dir: /var/lib/files                     # /
//	user: files                             # that of the daemon
//	group: files                            # the user's
//	timeout: 30s                            # 30s; 0s is that, too
//	killAfter: 2s                           # 2s
//	maxOutput: 65536                        # 65536 (bytes of standard output)
//	maxLog: 16384                           # 16384 (bytes of standard error a run)
//	limits: {cpu: 60s, memory: 536870912, files: 64, processes: 16, fileSize: 0} # 0: as the daemon
package commandtarget
