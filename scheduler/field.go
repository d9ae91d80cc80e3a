package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// field is one of the five fields of a schedule. The parser of robfig/cron
// takes several mistakes for something else than was meant ("*-5" for "*",
// "*/90" for "0", "1,,2" for "1,2", "," for nothing at all), so fields are
// checked before it sees them.
type field struct {
	name     string
	min, max int
	names    []string // of the values from min on; nil for none
}

// fields returns the five fields in their order.
func fields() []field {
	return []field{
		{name: "minute", min: 0, max: 59},
		{name: "hour", min: 0, max: 23},
		{name: "day of month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: []string{
			"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
		}},
		{name: "day of week", min: 0, max: 6, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// descriptors returns the names that stand for five fields.
func descriptors() []string {
	return []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
}

// checkWords returns why words, a schedule without its zone, is not one.
func checkWords(spec string, words []string) error {
	if strings.HasPrefix(words[0], "@") {
		return checkDescriptor(spec, words)
	}
	fs := fields()
	if len(words) != len(fs) {
		hint := ""
		if len(words) == len(fs)+1 {
			hint = "; there is no field for seconds"
		}
		return invalid(spec, "%d fields; want 5: minute, hour, day of month, month, day of week%s", len(words), hint)
	}
	for i, f := range fs {
		for part := range strings.SplitSeq(words[i], ",") {
			if err := f.check(part); err != nil {
				return invalid(spec, "%s %.64q: %w", f.name, words[i], err)
			}
		}
	}
	return nil
}

// checkDescriptor is checkWords for a schedule that has a name.
func checkDescriptor(spec string, words []string) error {
	switch {
	case words[0] == "@reboot":
		return invalid(spec, "passes at start-up need no schedule: there is one whenever something is due; "+
			"want when to run from then on, such as @hourly")
	case !slices.Contains(descriptors(), words[0]):
		return invalid(spec, "unknown name; want one of %s, or @every 5m", strings.Join(descriptors(), " "))
	case len(words) > 1:
		return invalid(spec, "%s stands alone; want nothing after it", words[0])
	}
	return nil
}

// check returns why part, one item of the field's list, is not valid.
func (f field) check(part string) error {
	if part == "" {
		return fmt.Errorf("an item of the list is empty; want values separated by single commas")
	}
	span, step, stepped := strings.Cut(part, "/")
	if stepped {
		if n, ok := number(step); !ok || n < 1 || n > f.max-f.min+1 {
			return fmt.Errorf("step %.64q; want 1 to %d", step, f.max-f.min+1)
		}
	}
	if span == "*" || span == "?" {
		return nil
	}
	low, high, ranged := strings.Cut(span, "-")
	from, err := f.value(low)
	if err != nil || !ranged {
		return err
	}
	to, err := f.value(high)
	if err != nil {
		return err
	}
	if from > to {
		return fmt.Errorf("the range %s ends before it begins; want %s,%s",
			span, rangeText(from, f.max), rangeText(f.min, to))
	}
	return nil
}

// value reads one number or name.
func (f field) value(s string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(s)); i >= 0 {
		return f.min + i, nil
	}
	n, ok := number(s)
	if ok && n >= f.min && n <= f.max {
		return n, nil
	}
	if ok && n == 7 && f.max == 6 {
		return 0, fmt.Errorf("7 is no day; Sunday is 0 or sun")
	}
	names := ""
	if f.names != nil {
		names = fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	return 0, fmt.Errorf("%.64q; want %d to %d%s", s, f.min, f.max, names)
}

// number reads a decimal number without a sign.
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil
}

// rangeText renders a range as a schedule has it.
func rangeText(from, to int) string {
	if from == to {
		return strconv.Itoa(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}
