package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// The values of the tag config of a field that takes references. A field without
// the tag takes none: what it holds may be in any error.
const (
	tagSecret   = "secret"   // the secret as it is
	tagPath     = "path"     // the path of the secret, of which the owner reads it itself and again
	tagDSN      = "dsn"      // the secret, escaped for its place in a connection string
	tagTemplate = "template" // the reference itself, of which the owner makes what it stands for
	// tagSecrets is that of the map, from references to secrets, of a record with
	// templates. It is no key of a file.
	tagSecrets = "secrets"
)

// takesSecret reports whether a field with a tag takes references.
func takesSecret(tag string) bool {
	switch tag {
	case tagSecret, tagPath, tagDSN, tagTemplate:
		return true
	}
	return false
}

// Resolve returns a copy of a record in which every reference, ${credential:NAME}
// or ${file:/path}, is replaced by what the tag of its field says; the secret is without
// a line break at its end. All that cannot be read is in the error, and no secret is.
func Resolve[T any](s Secrets, record T) (T, error) {
	v := reflect.New(reflect.TypeFor[T]()).Elem()
	v.Set(reflect.ValueOf(record))
	r := resolver{secrets: s, found: map[string]string{}}
	out := r.resolve(v, "", "")
	if err := errors.Join(r.errs...); err != nil {
		return out.Interface().(T), err
	}
	r.fill(out)
	return out.Interface().(T), nil
}

// resolver makes one copy.
type resolver struct {
	secrets Secrets
	found   map[string]string // what the references of templates stand for
	errs    []error
}

// resolve returns a deep copy of v with its references replaced. path is where it is,
// and tag that of its field.
func (r *resolver) resolve(v reflect.Value, path, tag string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		text, err := r.text(v.String(), tag)
		if err != nil {
			r.errs = append(r.errs, store.Errorf(store.Invalid, "%s: %w", strings.TrimPrefix(path, "."), err).At(strings.TrimPrefix(path, ".")))
		}
		out.SetString(text)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			break
		}
		inner := r.resolve(v.Elem(), path, tag)
		if v.Kind() == reflect.Interface {
			out.Set(inner)
			break
		}
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(inner)
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			out.FieldByIndex(f.Index).Set(r.resolve(v.FieldByIndex(f.Index), path+"."+nameOf(f), f.Tag.Get("config")))
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(r.resolve(v.Index(i), fmt.Sprintf("%s[%d]", path, i), tag))
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, r.resolve(v.MapIndex(k), path+"."+k.String(), tag))
		}
	default:
	}
	return out
}

// text returns the text of a field with that tag.
func (r *resolver) text(text, tag string) (string, error) {
	switch {
	case !reference.MatchString(text):
		return text, nil
	case tag == tagSecret:
		return replace(text, r.secrets.find)
	case tag == tagPath:
		return replace(text, r.secrets.path)
	case tag == tagDSN:
		return r.dsn(text)
	case tag == tagTemplate:
		return replace(text, func(ref string) (string, error) {
			secret, err := r.secrets.find(ref)
			r.found[ref] = secret
			return ref, err
		})
	}
	return text, errNoSecret
}

// replace replaces the references of a text, or returns why some cannot be.
func replace(text string, by func(ref string) (string, error)) (string, error) {
	var failed error
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		instead, err := by(ref)
		failed = errors.Join(failed, err)
		return instead
	})
	if failed != nil {
		return "", failed
	}
	return out, nil
}

// fill gives a record what the references of its templates stand for.
func (r *resolver) fill(out reflect.Value) {
	if out.Kind() == reflect.Interface && !out.IsNil() {
		inner := reflect.New(out.Elem().Type()).Elem()
		inner.Set(out.Elem())
		r.fill(inner)
		out.Set(inner)
		return
	}
	if out.Kind() != reflect.Struct || len(r.found) == 0 {
		return
	}
	for _, f := range reflect.VisibleFields(out.Type()) {
		if f.Tag.Get("config") == tagSecrets {
			out.FieldByIndex(f.Index).Set(reflect.ValueOf(r.found).Convert(f.Type))
		}
	}
}
