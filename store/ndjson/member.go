package ndjson

import (
	"strings"

	"github.com/tenantpurge/purger/store"
)

// member is a bit for each member that a line can have.
type member uint32

const (
	mType member = 1 << iota
	mID
	mTenantID
	mParentID
	mName
	mHostname
	mStatus
	mCreatedAt
	mDisabledAt
	mPurgeAfterDays
	mEstimatedPurgeDate
	mDisabledBy
	mReactivatedAt
	mHold
	mActiveSubscriptions
	mData
)

const (
	tenantMembers = mType | mID | mParentID | mName | mHostname | mStatus | mCreatedAt | mDisabledAt |
		mPurgeAfterDays | mEstimatedPurgeDate | mDisabledBy | mReactivatedAt | mHold | mActiveSubscriptions
	resourceMembers = mType | mTenantID | mID | mData
	anyMember       = tenantMembers | resourceMembers
)

// memberOf returns the member with a name, 0 for none. Letter case counts.
func memberOf(name []byte) member {
	switch string(name) {
	case "type":
		return mType
	case "id":
		return mID
	case "tenantId":
		return mTenantID
	case "parentId":
		return mParentID
	case "name":
		return mName
	case "hostname":
		return mHostname
	case "status":
		return mStatus
	case "createdAt":
		return mCreatedAt
	case "disabledAt":
		return mDisabledAt
	case "purgeAfterDays":
		return mPurgeAfterDays
	case "estimatedPurgeDate":
		return mEstimatedPurgeDate
	case "disabledBy":
		return mDisabledBy
	case "reactivatedAt":
		return mReactivatedAt
	case "hold":
		return mHold
	case "activeSubscriptions":
		return mActiveSubscriptions
	case "data":
		return mData
	}
	return 0
}

// names lists the members of a set in the order of the export.
func (m member) names() []string {
	all := []string{
		"type", "id", "tenantId", "parentId", "name", "hostname", "status", "createdAt", "disabledAt",
		"purgeAfterDays", "estimatedPurgeDate", "disabledBy", "reactivatedAt", "hold", "activeSubscriptions", "data",
	}
	var names []string
	for i, n := range all {
		if m&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// unknownMember is the error for a member that is none of names, in the object
// at path.
func unknownMember(path, name string, names []string) *store.Error {
	want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	for _, n := range names {
		if strings.EqualFold(n, name) {
			want = n
		}
	}
	return store.Errorf(store.Invalid, "unknown member %s: want %s", short([]byte(path+name)), want).At(path + name)
}
