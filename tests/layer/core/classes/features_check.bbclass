python () {
    have = (d.getVar('DISTRO_FEATURES') or '').split()
    lacks = [feature for feature in (d.getVar('REQUIRED_DISTRO_FEATURES') or '').split() if feature not in have]
    if lacks:
        raise bb.parse.SkipRecipe('missing required distro features: %s' % ' '.join(lacks))
}
