# Honeycomb OS: the one static boot script for U-Boot. Made into boot.scr by
#   mkimage -T script -C none -d boot.cmd boot.scr
#
# Needs the commands load, test (with -e), env import, saveenv, booti (or bootz), sleep and reset, a redundant
# environment (CONFIG_SYS_REDUNDAND_ENVIRONMENT), and what U-Boot's standard boot sets: devtype, devnum,
# distro_bootpart, kernel_addr_r, ramdisk_addr_r, scriptaddr, and fdt_addr or fdtcontroladdr.
#
# The switch is three variables of the environment, as in bootloader/grub/grub.cfg: hc_good, hc_try, hc_tries. The
# reasons that the kernel gets as honeycomb.reason=... are the same too.

setenv hc_part ${devtype} ${devnum}:${distro_bootpart}
setenv hc_boot
if test -e ${hc_part} /boot/honeycomb; then
  setenv hc_boot /boot
fi
setenv hc_fdt ${fdt_addr}
if test -z "${hc_fdt}"; then
  setenv hc_fdt ${fdtcontroladdr}
fi

# Loads and starts slot ${hc_slot}; comes back only where that fails. `panic=10` comes first, so that the slot's own
# arguments can change it.
setenv hc_start 'setenv hc_kernel; setenv hc_initrd; setenv hc_args; if load ${hc_part} ${scriptaddr} ${hc_boot}/honeycomb/${hc_slot}/slot.env; then if env import -t ${scriptaddr} ${filesize} hc_title hc_kernel hc_initrd hc_args; then setenv bootargs panic=10 ${hc_args} honeycomb.reason=${hc_reason}; echo "${hc_title} (slot ${hc_slot}, ${hc_reason})"; if load ${hc_part} ${kernel_addr_r} ${hc_boot}${hc_kernel}; then run hc_start_kernel; fi; fi; fi'
setenv hc_start_kernel 'if test -z "${hc_initrd}"; then booti ${kernel_addr_r} - ${hc_fdt} || bootz ${kernel_addr_r} - ${hc_fdt}; elif load ${hc_part} ${ramdisk_addr_r} ${hc_boot}${hc_initrd}; then booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${hc_fdt} || bootz ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${hc_fdt}; fi'

setenv hc_reason confirmed
if test "${hc_good}" != a -a "${hc_good}" != b; then
  setenv hc_reason fallback-bad-env
  setenv hc_good a
  setenv hc_try -
fi
setenv hc_slot ${hc_good}
if test -z "${hc_try}"; then
  setenv hc_try -
fi

# A boot of the slot on trial is counted and saved before anything of it is read.
if test "${hc_try}" != - -a "${hc_try}" != "${hc_good}"; then
  setenv hc_left
  if test "${hc_tries}" = 1; then setenv hc_left 0; fi
  if test "${hc_tries}" = 2; then setenv hc_left 1; fi
  if test "${hc_tries}" = 3; then setenv hc_left 2; fi
  if test "${hc_tries}" = 4; then setenv hc_left 3; fi
  if test "${hc_tries}" = 5; then setenv hc_left 4; fi
  if test "${hc_tries}" = 6; then setenv hc_left 5; fi
  if test "${hc_tries}" = 7; then setenv hc_left 6; fi
  if test "${hc_tries}" = 8; then setenv hc_left 7; fi
  if test "${hc_tries}" = 9; then setenv hc_left 8; fi
  if test "${hc_try}" != a -a "${hc_try}" != b; then
    setenv hc_reason fallback-bad-env
  elif test "${hc_tries}" = 0; then
    setenv hc_reason fallback-tries-used
  elif test -z "${hc_left}"; then
    setenv hc_reason fallback-bad-env
  else
    setenv hc_tries ${hc_left}
    if saveenv; then
      setenv hc_slot ${hc_try}
      setenv hc_reason trial-${hc_left}
    else
      setenv hc_reason fallback-save-failed
    fi
  fi
fi

run hc_start
if test "${hc_slot}" != "${hc_good}"; then
  setenv hc_tries 0
  saveenv
  setenv hc_slot ${hc_good}
  setenv hc_reason fallback-load-failed
  run hc_start
fi
if test "${hc_good}" = a; then
  setenv hc_slot b
else
  setenv hc_slot a
fi
setenv hc_reason last-resort
run hc_start
echo "No slot can be loaded. Trying again in 30 seconds."
sleep 30
reset
