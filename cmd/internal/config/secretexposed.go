package config

import (
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"syscall"
)

// Exposed returns, for each reference ${file:/path} of a record whose file others than
// this process and root may read or change, a sentence that says so, in the order of the
// references. It says nothing of what cannot be looked at, and of credentials, which
// systemd keeps.
//
// That the group may read is right where the group is one of the process, or where the
// file is root's, who has chosen the group for that.
func Exposed(record any) []string {
	paths := map[string]string{} // by reference
	filesOf(reflect.ValueOf(record), "", paths)
	var list []string
	for ref, path := range paths {
		if text := exposure(path); text != "" {
			list = append(list, ref+": "+text)
		}
	}
	slices.Sort(list)
	return list
}

// filesOf adds the files that the references of v name; tag is that of its field.
func filesOf(v reflect.Value, tag string, to map[string]string) {
	switch v.Kind() {
	case reflect.String:
		if !takesSecret(tag) {
			return
		}
		for _, m := range reference.FindAllStringSubmatch(v.String(), -1) {
			if m[1] == "file" {
				to[m[0]] = m[2]
			}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			filesOf(v.Elem(), tag, to)
		}
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			filesOf(v.FieldByIndex(f.Index), f.Tag.Get("config"), to)
		}
	case reflect.Slice:
		for i := range v.Len() {
			filesOf(v.Index(i), tag, to)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			filesOf(v.MapIndex(k), tag, to)
		}
	default:
	}
}

// exposure says who else may read or change a file; "" for nobody.
func exposure(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	const want = "want mode 0600, or 0640 with root as the owner and the group of the daemon"
	switch mode := info.Mode().Perm(); {
	case mode&0o022 != 0:
		return fmt.Sprintf("others than its owner may change it (%s); %s", mode, want)
	case mode&0o004 != 0:
		return fmt.Sprintf("everybody may read it (%s); %s", mode, want)
	case mode&0o040 != 0 && !groupIsMeant(info):
		return fmt.Sprintf("a group that is none of this process may read it (%s); %s", mode, want)
	}
	return ""
}

// groupIsMeant reports whether the group of a file is there for this process.
func groupIsMeant(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Gid) == os.Getegid() {
		return true
	}
	groups, err := os.Getgroups()
	return err != nil || slices.Contains(groups, int(stat.Gid))
}
