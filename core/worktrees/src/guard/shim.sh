#!/bin/sh
# Podium's guard. Runs the hook of this name that was in force before, unchanged; then refuses commits in a claimed
# worktree by anybody who does not hold the claim. Nothing but builtins on the usual way: in a rebase this runs many
# times. `imi guard remove` takes it out.
hook=${0##*/}
guard=${0%/*}
dir=${GIT_DIR:-.git}
if [ -f "$dir" ]; then
  IFS= read -r line < "$dir"
  dir=${line#gitdir: }
fi
common=$dir
if [ -f "$dir/commondir" ]; then
  IFS= read -r common < "$dir/commondir"
  case $common in /*) ;; *) common=$dir/$common ;; esac
fi

# Where the hooks of before are; looked up anew when a configuration file is younger than what was found.
known=$dir/podium-hooks
hooks=
[ -f "$known" ] && IFS= read -r hooks < "$known"
for file in "$common/config" "$dir/config.worktree" "${GIT_CONFIG_GLOBAL:-$HOME/.gitconfig}" \
  "${XDG_CONFIG_HOME:-$HOME/.config}/git/config"; do
  [ "$file" -nt "$known" ] && hooks=
done
if [ -z "$hooks" ]; then
  hooks=$(GIT_DIR=$dir git config --worktree --type=path --get podium.hooksPath 2>/dev/null)
  if [ -z "$hooks" ]; then
    hooks=$(GIT_DIR=$dir git config --show-scope --type=path --get-all core.hooksPath 2>/dev/null | {
      found=
      while IFS='	' read -r scope value; do
        case $scope in worktree | command) ;; *) found=$value ;; esac
      done
      printf '%s' "$found"
    })
  fi
  [ -n "$hooks" ] && [ "$hooks" != "$guard" ] || hooks=$common/hooks
  { printf '%s\n' "$hooks" > "$known"; } 2>/dev/null
fi
run=$hooks/$hook
[ -f "$run" ] && [ -x "$run" ] || run=

# Whether somebody else holds this worktree, by git's lock.
held() {
  [ -f "$dir/locked" ] && [ -z "$PODIUM_GUARD_PASS" ] || return 1
  lock=
  IFS= read -r lock < "$dir/locked"
  case $lock in "podium: claimed by "*" (token "*) ;; *) return 1 ;; esac
  owner=${lock#podium: claimed by }
  token=${owner##* (token }
  owner=${owner% (token *}
  since=${token##* since }
  token=${token%%)*}
  if [ -n "$PODIUM_AGENT_ID" ]; then
    [ "$PODIUM_AGENT_ID" = "$owner" ] || return 0
    [ -n "$PODIUM_CLAIM_TOKEN" ] && [ "$PODIUM_CLAIM_TOKEN" != "$token" ] && return 0
    return 1
  fi
  [ "$PODIUM_CLAIM_TOKEN" = "$token" ] && return 1
  case $owner in person:*) return 1 ;; esac
  return 0
}

overridden() {
  [ -z "$PODIUM_AGENT_ID" ] && [ "$PODIUM_OVERRIDE" = 1 ]
}

refuse() {
  if [ -z "$PODIUM_AGENT_ID" ]; then
    who="PODIUM_AGENT_ID is not set, so you count as a person"
  elif [ "$PODIUM_AGENT_ID" = "$owner" ]; then
    who="your claim is an older one: PODIUM_CLAIM_TOKEN is $PODIUM_CLAIM_TOKEN, the claim's is $token"
  else
    who="you are $PODIUM_AGENT_ID"
  fi
  printf '%s\n' "podium: worktree ${dir##*/} is claimed by $owner since $since: nothing was changed" \
    "podium: $who" \
    "hint: \`imi list\` shows whose each worktree is; \`imi feat NAME\` makes one of your own" \
    "hint: \`imi claim ${dir##*/} --wait 60\` waits for it" >&2
  [ -z "$PODIUM_AGENT_ID" ] && printf '%s\n' \
    "hint: a person may go on with PODIUM_OVERRIDE=1 before the command; it is recorded" >&2
  exit 1
}

case $hook in
  pre-commit | pre-merge-commit)
    if [ -n "$run" ]; then
      held || exec "$run" "$@"
      "$run" "$@" || exit
    fi
    held && ! overridden && refuse
    exit 0
    ;;
  reference-transaction)
    # Below, what git says is read: that is only worth its time where it matters.
    if [ "$1" = prepared ] && held; then
      :
    elif [ -n "$run" ]; then
      exec "$run" "$@"
    else
      exit 0
    fi
    ;;
  *)
    [ -n "$run" ] && exec "$run" "$@"
    exit 0
    ;;
esac

# A branch that is not checked out here, a tag or a fetched reference is nobody's.
branch=
IFS= read -r branch < "$dir/HEAD"
branch=${branch#ref: }
input=
touched=
while IFS= read -r line; do
  input="$input$line
"
  ref=${line##* }
  case $ref in
    HEAD | "$branch") touched=$line ;;
    refs/heads/*) case $branch in refs/heads/.invalid) touched=$line ;; esac ;;
  esac
done
if [ -n "$run" ]; then
  printf '%s' "$input" | "$run" "$@" || exit
fi
[ -n "$touched" ] || exit 0
overridden || refuse
printf '%s\t%s\t%s\t%s\t%s\n' "$dir" "$token" "${USER:-$LOGNAME}" "$touched" "$owner" >> "$guard/overridden"
exit 0
