package store

// Status says where in its life a tenant is.
type Status string

// The statuses, on the wire and in the store.
//
//	active --deactivate--> disabled --claim--> purging --verified empty--> deleted
//	  ^                        |                 |  ^
//	  +-------reactivate-------+                 v  | retry
//	                                            failed
const (
	StatusActive   Status = "active"
	StatusDisabled Status = "disabled"
	StatusPurging  Status = "purging"
	StatusFailed   Status = "failed"
	// StatusDeleted is the status of a tombstone; no Tenant record carries it.
	StatusDeleted Status = "deleted"
)

// Statuses returns every status, in the order of a tenant's life.
func Statuses() []Status {
	return []Status{StatusActive, StatusDisabled, StatusPurging, StatusFailed, StatusDeleted}
}

// ParseStatus returns the status that s names, or an [Invalid] error.
func ParseStatus(s string) (Status, error) {
	for _, v := range Statuses() {
		if s == string(v) {
			return v, nil
		}
	}
	return "", Errorf(Invalid, "status %s: want active, disabled, purging, failed or deleted", Quote(s)).At("status")
}

// Irrevocable reports whether the tenant is past the point at which
// reactivation is possible.
func (s Status) Irrevocable() bool {
	return s == StatusPurging || s == StatusFailed || s == StatusDeleted
}
