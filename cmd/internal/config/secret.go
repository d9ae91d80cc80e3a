package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// errSecretInFile refuses a secret that stands in the configuration.
var errSecretInFile = errors.New("a secret does not belong into the file; want ${credential:NAME} or ${file:/path}")

// reference is what stands for a secret.
var reference = regexp.MustCompile(`\$\{(credential|file):([^{}]+)\}`)

// isReference reports whether s is one reference and nothing else.
func isReference(s string) bool {
	at := reference.FindStringIndex(s)
	return at != nil && at[0] == 0 && at[1] == len(s)
}

// isSecretKey reports whether what stands under a key of a record is a secret as a
// whole, whatever it looks like. clients are registrations with their tokens.
func isSecretKey(key string) bool {
	switch strings.ToLower(key) {
	case "password", "bearer", "token", "secret", "clientsecret", "clients":
		return true
	}
	return false
}

// secretName is the name of a header, a variable or a parameter, as people call
// those that hold a secret.
var secretName = regexp.MustCompile(`(?i)(^|[-_])((proxy-)?authorization|(set-)?cookie)$|(token|secret|password|passwd|(api|access|private|secret)[-_]?key)$`)

// hasSecret reports whether a text of the file, under a key, is or holds a secret
// itself. free says that the key is a name that somebody has chosen, such as that of
// a header: a reference in the text is then the secret, and the rest goes with it.
func hasSecret(key, text string, free bool) bool {
	switch {
	case free && secretName.MatchString(key):
		return text != "" && !reference.MatchString(text)
	case !free && isSecretKey(key):
		return text != "" && !isReference(text)
	case strings.Contains(text, "PRIVATE KEY-----"):
		return true
	}
	// A connection string may hold a password, as a URL or in keywords.
	bare := reference.ReplaceAllString(text, "")
	if u, err := url.Parse(bare); err == nil && u.User != nil {
		password, _ := u.User.Password()
		return password != ""
	}
	return key == "dsn" && passwordKeyword.MatchString(bare)
}

var passwordKeyword = regexp.MustCompile(`(?i)\bpassword\s*=\s*[^\s&]`)

// maxSecret is the largest size of a secret, in bytes.
const maxSecret = 64 << 10

// Secrets finds what references stand for. The zero value finds files alone.
type Secrets struct {
	// Directory is that of systemd's credentials, $CREDENTIALS_DIRECTORY.
	Directory string

	paths bool // references stand for paths
}

// Resolve returns a copy of a record in which every reference, ${credential:NAME}
// or ${file:/path}, is replaced by the secret, without a line break at its end. In a
// field with the tag config:"path", whose owner reads the file itself and again, it is
// replaced by the path. All that cannot be read is in the error.
func Resolve[T any](s Secrets, record T) (T, error) {
	v := reflect.New(reflect.TypeFor[T]()).Elem()
	v.Set(reflect.ValueOf(record))
	var errs []error
	out := s.resolve(v, "", &errs)
	return out.Interface().(T), errors.Join(errs...)
}

// resolve returns a deep copy of v with its references replaced.
func (s Secrets) resolve(v reflect.Value, path string, errs *[]error) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		text, err := s.text(v.String())
		if err != nil {
			*errs = append(*errs, store.Errorf(store.Invalid, "%s: %w", strings.TrimPrefix(path, "."), err))
		}
		out.SetString(text)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			break
		}
		inner := s.resolve(v.Elem(), path, errs)
		if v.Kind() == reflect.Interface {
			out.Set(inner)
			break
		}
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(inner)
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			find := s // what replaces a reference
			if f.Tag.Get("config") == "path" {
				find.paths = true
			}
			out.FieldByIndex(f.Index).Set(find.resolve(v.FieldByIndex(f.Index), path+"."+nameOf(f), errs))
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(s.resolve(v.Index(i), fmt.Sprintf("%s[%d]", path, i), errs))
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, s.resolve(v.MapIndex(k), path+"."+k.String(), errs))
		}
	default:
	}
	return out
}

// text replaces the references of a text.
func (s Secrets) text(text string) (string, error) {
	var failed error
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		secret, err := s.path(m[1], m[2])
		if err == nil && !s.paths {
			secret, err = read(secret)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", ref, err))
		}
		return secret
	})
	if failed != nil {
		return "", failed
	}
	return out, nil
}

// path returns the path of what a reference names.
func (s Secrets) path(kind, name string) (string, error) {
	switch {
	case kind == "credential" && s.Directory == "":
		return "", errors.New("there is no directory of credentials; want LoadCredential= in the unit, or ${file:/path}")
	case kind == "credential" && (strings.ContainsRune(name, '/') || name == "." || name == ".."):
		return "", errors.New("want the name of a credential, without a slash")
	case kind == "credential":
		return filepath.Join(s.Directory, name), nil
	case !filepath.IsAbs(name):
		return "", errors.New("want an absolute path")
	}
	return name, nil
}

// read reads one secret.
func read(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w; want a file that can be read", reason(err))
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case secret == "":
		return "", errors.New("it is empty; want the secret")
	case len(secret) > maxSecret:
		return "", fmt.Errorf("more than %s; want a secret", formatSize(maxSecret))
	}
	return secret, nil
}
